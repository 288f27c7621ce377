import { describe, expect, test } from 'vitest';
import { explore, type Model } from './checker.ts';
import { lockModel, type LockMutants } from './lock.ts';
import { permitModel, type PermitMutants } from './permits.ts';
import { sentinelModel, type SentinelMutants } from './sentinels.ts';
import { shareModel, type ShareMutants } from './shares.ts';

type Line<M> = readonly [what: string, mutant: M, breaks: string, mostSteps: number];

function suite<S, M>(name: string, make: (mutant?: M) => Model<S>, mutants: readonly Line<M>[]): void {
  describe(name, () => {
    test('no state that can be reached breaks an invariant', () => {
      const { states, depth, violation } = explore(make());
      console.log(`${name}: ${states} states, ${depth} steps deep`);
      expect(violation).toBeNull();
    });

    test.each(mutants)('needs it: %s', (_, mutant, breaks, mostSteps) => {
      const { violation } = explore(make(mutant));
      expect(violation?.text).toMatch(breaks);
      expect(violation!.trace.length, violation!.trace.join('\n')).toBeLessThanOrEqual(mostSteps);
    });
  });
}

suite<ReturnType<typeof lockModel>['initial'], LockMutants>('the lock, its terms, the fence and samples', lockModel, [
  ['the database refuses older terms', { noFence: true }, 'S2', 16],
  ['a worker refuses older terms', { noTermCheck: true }, 'S3', 13],
  ['acknowledged after the commit', { ackBeforeCommit: true }, 'S5', 9],
  ['a repeated sample is not added', { addsOnDuplicate: true }, 'S4', 9],
  ['the incarnation is part of the key', { noIncarnation: true }, 'S5', 13],
  ['a new term is higher than all before', { sameTerm: true }, 'S1', 11],
]);

suite<ReturnType<typeof permitModel>['initial'], PermitMutants>('permits', permitModel, [
  ['a permit counts from the send of the ping', { fromReceipt: true }, 'S7', 14],
  ['a share stays when only the stream has closed', { onClosedStream: true }, 'S7', 2],
  ['a look that shows no record begins after the permit', { oldLook: true }, 'S7', 14],
  ['a new master waits for what the former may have echoed', { forgetsFormer: true }, 'S7', 14],
  ['one that was said to be gone is sent away', { echoesTheGone: true }, 'S7', 10],
  ['a lease won anew revives no older permit', { newLeaseRevives: true }, 'S7', 14],
]);

suite<ReturnType<typeof shareModel>['initial'], ShareMutants>('shares', shareModel, [
  ['lowered before raised', { raisesAtOnce: true }, 'S7', 4],
  ['a new master asks what is loaded', { trustsRecords: true }, 'S7', 6],
  ['written before sent', { sendsBeforeWriting: true }, 'S7', 12],
]);

suite<ReturnType<typeof sentinelModel>['initial'], SentinelMutants>('sentinels', sentinelModel, [
  ['the transaction compares the revision of the key', { noRevision: true }, 'takes the lock', 10],
  ['the transaction asks for the votes', { noVotes: true }, 'takes the lock', 10],
  ['a majority', { noMajority: true }, 'takes the lock', 3],
  ['the fence, whatever sentinels do', { noFence: true }, 'S2', 6],
]);
