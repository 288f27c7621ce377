import { describe, expect, test } from 'vitest';
import { reportMaker } from '../../src/app/report-maker.ts';
import type { Report } from '../../src/report/index.ts';
import type { RunAccount } from '../../src/task/account.ts';
import type { Sample } from '../../src/task/sample.ts';
import { wholeAccount } from '../support/reports.ts';
import { healthySecond } from '../support/samples.ts';
import { runningOf } from '../stress/support/records.ts';

/** Of 4 s with 100 hits each, the last of them 500 ms long. */
async function reportOf(load: object, account: Partial<RunAccount> = {}): Promise<Report> {
  const samples = [0, 1, 2, 3].map((second) =>
    healthySecond(second, 100, 1000, second === 3 ? { durationMs: 500 } : {}),
  );
  async function* seconds(): AsyncGenerator<Sample> {
    yield* samples;
    await Promise.resolve();
  }
  const run = runningOf({ state: 'DONE', load });
  const stored = { workers: 1, seconds: seconds(), account: () => ({ ...wholeAccount(1), ...account }) };
  return (await reportMaker()(run, stored)) as Report;
}

describe('a run on a cluster that is done', () => {
  test.each([
    ['its hits were used up', { rate: 100, duration: '60s', hits: 400 }, {}],
    [
      'of its hits some may have been made by one that died',
      { rate: 100, duration: '60s', hits: 450 },
      { mayHaveStarted: 60 },
    ],
    ['its users used them up', { users: 2, duration: '60s', hits: 400 }, {}],
  ])('lasted as long as it loaded when %s', async (_, load, account) => {
    const { run, headline } = await reportOf(load, account);
    expect(run.durationMs).toBe(3_500);
    expect(headline.okPerSecond).toBeCloseTo(400 / 3.5);
  });

  test.each([
    ['it has no limit of hits', { rate: 100, duration: '60s' }],
    ['hits are left', { rate: 100, duration: '60s', hits: 5_000 }],
  ])('lasted to the end of its plan when %s', async (_, load) => {
    const { run, cluster } = await reportOf(load);
    expect(run.durationMs).toBe(60_000);
    expect(cluster?.unserved).toBeGreaterThan(4_000);
  });
});
