import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { World } from './support/world.ts';

type Act = { kind: string; who: number; target: number };

const act: fc.Arbitrary<Act> = fc.record({
  kind: fc.constantFrom(
    ...['join', 'kill', 'learn', 'disconnect', 'reconnect', 'leave', 'retune', 'failover'],
    ...['deliver', 'deliver', 'deliver', 'answer', 'answer', 'answer', 'pass', 'pass', 'pass'],
  ),
  who: fc.nat(30),
  target: fc.integer({ min: 100, max: 1000 }),
});

function perform(world: World, { kind, who, target }: Act): void {
  const worker = world.workers[who % world.workers.length]!;
  if (kind === 'join' && world.workers.length < 8) world.join();
  else if (kind === 'retune') world.retune(target);
  else if (kind === 'failover') world.failover();
  else if (kind === 'pass') world.pass();
  else if (kind === 'kill') world.kill(worker);
  else if (kind === 'learn') world.learn(worker);
  else if (kind === 'disconnect') world.disconnect(worker);
  else if (kind === 'reconnect') world.reconnect(worker);
  else if (kind === 'leave') world.leave(worker);
  else if (kind === 'deliver') world.deliver(worker);
  else if (kind === 'answer') world.answer(worker);
}

describe('shares, whatever happens to workers, network and masters', () => {
  it('never sum to more than the whole in strict mode, but for rounding', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 1000 }), fc.array(act, { maxLength: 120 }), (rate, acts) => {
        const world = new World(rate);
        for (let i = 0; i < 3; i++) world.join();
        for (const next of acts) {
          perform(world, next);
          const rounding = world.grain * world.workers.length;
          expect(world.loaded, JSON.stringify(next)).toBeLessThanOrEqual(1 + rounding + 1e-9);
        }
      }),
      { numRuns: 400 },
    );
  });

  it('are whole parts that sum to the target exactly once all is quiet, and each worker does what is stored', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 1000 }), fc.array(act, { maxLength: 80 }), (rate, acts) => {
        const world = new World(rate);
        world.join();
        for (const next of acts) perform(world, next);
        world.settle();
        const isSomebodyThere = world.workers.some(
          ({ alive, leaving, standing }) => alive && !leaving && standing === 'live',
        );
        if (!isSomebodyThere) {
          expect(['SHORT_OF_WORKERS', 'PENDING']).toContain(world.run.state);
          expect(world.loaded).toBe(0);
          return;
        }
        expect(world.run.state).toBe('RUNNING');
        const records = world.keepers.map(({ record }) => record);
        const [first] = records;
        expect(records.every(({ share }) => share.of === first!.share.of)).toBe(true);
        expect(records.reduce((sum, { share }) => sum + share.weight, 0)).toBe(first!.share.of);
        expect(records.every(({ share }) => Number.isInteger(share.weight) && share.weight >= 1)).toBe(true);
        expect(world.loaded).toBeCloseTo(1, 9);
        expect(world.active).toBe(records.length);
      }),
      { numRuns: 300 },
    );
  });
});
