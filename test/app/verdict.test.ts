import { afterAll, beforeAll, expect, test } from 'vitest';
import { LocalRun } from '../../src/app/compose.ts';
import { constant, taskFor } from '../support/engine.ts';
import { okResponse, startRawServer } from '../support/raw-server.ts';
import { startTargetProcess, type TargetProcess } from '../support/target-process.ts';

let target: TargetProcess;

beforeAll(async () => {
  target = await startTargetProcess();
});

afterAll(() => target.stop());

test('an overloaded generator says so while it runs and in its report', async () => {
  // Backtracking makes this check cost the engine thread milliseconds of each answer: many times what the rate allows.
  await using server = await startRawServer({ onRequest: ({ socket }) => socket.write(okResponse('x'.repeat(20))) });
  const running: string[] = [];
  const task = taskFor(server.url, {
    load: { stages: [constant(2_000, 2_000)], maxInFlight: 100 },
    checks: [{ kind: 'bodyMatches', pattern: '(x+x+)+y' }],
  });
  const run = new LocalRun(task, { threads: 1, onSecond: ({ verdict }) => running.push(verdict.verdict) });
  const report = await run.run();
  expect(running.slice(0, 2)).toContain('INVALID');
  expect(report.verdict.verdict).toBe('INVALID');
  expect(report.verdict.reasons.map(({ code }) => code)).toContain('generator-limited');
  expect(report.accounting.holds).toBe(true);
});

/** Half of the answers are 503, and all take 400 ms. */
const slowAndFailing = (): string => `${target.url}/?latency=400ms&status=200:0.5,503:0.5`;

test('a slow and failing target leaves the generator VALID', async () => {
  const task = taskFor(slowAndFailing(), { load: { model: 'closed', stages: [constant(10, 2_000)] } });
  // Whatever else keeps this machine busy is for the verdict to tell: one quiet run of ten suffices.
  for (let attempt = 1; ; attempt++) {
    const report = await new LocalRun(task, { threads: 1 }).run();
    expect(report.counts.failed).toBeGreaterThan(5);
    if (report.verdict.verdict !== 'VALID' && attempt < 10) continue;
    expect(report.verdict).toEqual({ verdict: 'VALID', reasons: [] });
    return;
  }
});

test('drops because of a slow target are no reason to doubt the generator', async () => {
  const task = taskFor(slowAndFailing(), { load: { stages: [constant(200, 2_000)], maxInFlight: 10 } });
  for (let attempt = 1; ; attempt++) {
    const report = await new LocalRun(task, { threads: 1 }).run();
    expect(report.counts.dropped['target-limited']).toBeGreaterThan(100);
    if (report.verdict.verdict !== 'VALID' && attempt < 10) continue;
    expect(report.verdict).toEqual({ verdict: 'VALID', reasons: [] });
    return;
  }
});
