import { describe, expect, test } from 'vitest';
import { RunningVerdict } from '../../src/report/evidence.ts';
import { judge, type Evidence } from '../../src/report/verdict.ts';
import { answeredCounts, healthySecond, histogramOf, sampleOf } from '../support/samples.ts';

const healthy: Evidence = {
  model: 'open',
  scheduled: 10_000,
  started: 10_000,
  dropped: { 'target-limited': 0, 'generator-limited': 0, stalled: 0, 'no-permit': 0 },
  unknown: 0,
  mayHaveStarted: 0,
  answered: 10_000,
  unmeasured: 0,
  unserved: 0,
  bufferFullMs: 0,
  latenessP99Ms: 0.05,
  sustainedSeconds: 3,
  sustainedUtilisation: 0.3,
  sustainedLoopDelayP99Ms: 0.5,
  sustainedNodeCpu: 0.6,
  loopDelayMaxMs: 3,
  gcMaxMs: 2,
  portsExhausted: 0,
  descriptorsExhausted: 0,
  startedInAll: 11_000,
  identityHolds: true,
};

const drops = (part: Partial<Evidence['dropped']>): Partial<Evidence> => ({ dropped: { ...healthy.dropped, ...part } });
const closed = { model: 'closed' } as const;

describe('the verdict', () => {
  test.each<[sentence: string, found: Partial<Evidence>, verdict: string, codes: string[]]>([
    ['a generator that kept up is VALID', {}, 'VALID', []],
    ['drops that the target caused do not count', drops({ 'target-limited': 9_999 }), 'VALID', []],
    ['9 late drops of 10 000 are tolerated', drops({ 'generator-limited': 9 }), 'VALID', []],
    ['10 are 0.1 %', drops({ 'generator-limited': 10 }), 'DEGRADED', ['generator-limited']],
    [
      'stalled ones count as late ones',
      drops({ 'generator-limited': 5, stalled: 5 }),
      'DEGRADED',
      ['generator-limited'],
    ],
    ['99 are still not 1 %', drops({ stalled: 99 }), 'DEGRADED', ['generator-limited']],
    ['100 are', drops({ 'generator-limited': 60, stalled: 40 }), 'INVALID', ['generator-limited']],
    ['any drop for want of a permit degrades', drops({ 'no-permit': 1 }), 'DEGRADED', ['no-permit']],
    ['1 % of them is too much', drops({ 'no-permit': 100 }), 'INVALID', ['no-permit']],
    ['hits that no worker had degrade', { unserved: 1 }, 'DEGRADED', ['unserved']],
    ['1 % of the plan without a worker is too much', { unserved: 102 }, 'INVALID', ['unserved']],
    ['lateness below 1 ms is fine', { latenessP99Ms: 0.99 }, 'VALID', []],
    ['from 1 ms on it shows in the latencies', { latenessP99Ms: 1 }, 'DEGRADED', ['late']],
    ['from 10 ms on it is the latencies', { latenessP99Ms: 10 }, 'INVALID', ['late']],
    ['a thread that is 89 % busy keeps up', { sustainedUtilisation: 0.89 }, 'VALID', []],
    ['at 90 % it is near its end', { sustainedUtilisation: 0.9 }, 'DEGRADED', ['saturated']],
    ['at 98 % it is there', { sustainedUtilisation: 0.98 }, 'INVALID', ['saturated']],
    ['a closed loop may fill its core', { ...closed, sustainedUtilisation: 1 }, 'DEGRADED', ['generator-bound']],
    [
      'and then reads its answers late, which is no more than DEGRADED either',
      { ...closed, sustainedUtilisation: 1, sustainedLoopDelayP99Ms: 200, loopDelayMaxMs: 2000 },
      'DEGRADED',
      ['generator-bound', 'loop-delay', 'stalled'],
    ],
    ['a loop delay of 10 ms degrades', { sustainedLoopDelayP99Ms: 10 }, 'DEGRADED', ['loop-delay']],
    ['one of 100 ms invalidates', { sustainedLoopDelayP99Ms: 100 }, 'INVALID', ['loop-delay']],
    ['one stall of 100 ms degrades', { loopDelayMaxMs: 100 }, 'DEGRADED', ['stalled']],
    ['in the open model drops tell the rest', { loopDelayMaxMs: 5000 }, 'DEGRADED', ['stalled']],
    ['in the closed model nothing else does', { ...closed, loopDelayMaxMs: 1000 }, 'INVALID', ['stalled']],
    ['a GC pause below 50 ms passes', { gcMaxMs: 49 }, 'VALID', []],
    ['one of 50 ms degrades', { gcMaxMs: 50 }, 'DEGRADED', ['gc-pause']],
    ['one of 500 ms invalidates', { gcMaxMs: 500 }, 'INVALID', ['gc-pause']],
    ['a full machine degrades and never more', { sustainedNodeCpu: 1 }, 'DEGRADED', ['node-cpu']],
    ['a nearly full one does not', { sustainedNodeCpu: 0.94 }, 'VALID', []],
    ['one hit without a local port degrades', { portsExhausted: 1 }, 'DEGRADED', ['ports-exhausted']],
    ['1 % of all started, with the warm-up, invalidates', { portsExhausted: 110 }, 'INVALID', ['ports-exhausted']],
    ['file descriptors likewise', { descriptorsExhausted: 109 }, 'DEGRADED', ['descriptors-exhausted']],
    ['hits that a worker took with it degrade', { unknown: 1 }, 'DEGRADED', ['workers-lost']],
    ['and invalidate from 1 % on', { unknown: 100 }, 'INVALID', ['workers-lost']],
    ['those that it may have started count with them', { unknown: 1, mayHaveStarted: 99 }, 'INVALID', ['workers-lost']],
    ['so does not to know how many', { mayHaveStarted: null }, 'DEGRADED', ['workers-lost']],
    ['one latency that was given up degrades', { unmeasured: 1 }, 'DEGRADED', ['buffer-full']],
    ['1 % of them invalidate', { unmeasured: 100 }, 'INVALID', ['buffer-full']],
    ['load that was held back for want of room degrades', { bufferFullMs: 20 }, 'DEGRADED', ['buffer-full']],
    ['books that do not balance are a defect', { identityHolds: false }, 'INVALID', ['accounting']],
    ['no hits, nothing measured', { scheduled: 0, started: 0 }, 'INVALID', ['nothing-measured']],
    ['which cannot be told before the end', { scheduled: 0, started: 0, identityHolds: null }, 'VALID', []],
    [
      'the gravest reason comes first',
      { ...drops({ 'generator-limited': 10 }), gcMaxMs: 600, latenessP99Ms: 2 },
      'INVALID',
      ['gc-pause', 'generator-limited', 'late'],
    ],
  ])('%s', (_, found, verdict, codes) => {
    const judged = judge({ ...healthy, ...found });
    expect(judged.verdict).toBe(verdict);
    expect(judged.reasons.map(({ code }) => code)).toEqual(codes);
  });

  test('a reason says what was found', () => {
    const { reasons } = judge({ ...healthy, ...drops({ 'generator-limited': 120 }), latenessP99Ms: 3.2 });
    expect(reasons[0]?.text).toContain('120 hits (1.2 % of the scheduled)');
    expect(reasons[1]?.text).toContain('lateness p99 is 3.20 ms, trusted is less than 1.00 ms');
  });
});

describe('the verdict while the run goes on', () => {
  const busy = (utilisation: number) => ({ health: { utilisation } });
  const codesOf = (verdict: RunningVerdict) => verdict.current().reasons.map(({ code }) => code);

  test('a saturated generator says so in its third busy second', () => {
    const verdict = new RunningVerdict('open', 0);
    const seen = [0, 1, 2].map((second) => {
      verdict.add(healthySecond(second, 100, 1000, busy(0.99)), null);
      return codesOf(verdict);
    });
    expect(seen).toEqual([[], [], ['saturated']]);
  });

  test('busy seconds that are not in a row do not count', () => {
    const verdict = new RunningVerdict('open', 0);
    for (const [second, level] of [0.99, 0.99, 0.5, 0.99, 0.99].entries()) {
      verdict.add(healthySecond(second, 100, 1000, busy(level)), null);
    }
    expect(codesOf(verdict)).toEqual([]);
    expect(verdict.final(true).verdict).toBe('VALID');
  });

  test('the level is the lowest of the three, and the highest of such that were', () => {
    const verdict = new RunningVerdict('open', 0);
    for (const [second, level] of [0.99, 0.91, 0.99, 0.99, 0.1].entries()) {
      verdict.add(healthySecond(second, 100, 1000, busy(level)), null);
    }
    expect(verdict.current()).toMatchObject({ verdict: 'DEGRADED', reasons: [{ code: 'saturated' }] });
  });

  test('a run of one whole second is judged by it at its end, not before', () => {
    const verdict = new RunningVerdict('closed', 0);
    verdict.add(healthySecond(0, 100, 1000, busy(1)), null);
    verdict.add(healthySecond(1, 1, 1000, { durationMs: 20 }), null);
    expect(codesOf(verdict)).toEqual([]);
    expect(verdict.final(true).reasons).toMatchObject([{ code: 'generator-bound', level: 'DEGRADED' }]);
    expect(verdict.final(true).reasons[0]?.text).toContain('busy for 1 s');
  });

  test.each(['open', 'closed'] as const)(
    'an %s run of less than a second is judged by it, at most DEGRADED',
    (model) => {
      const verdict = new RunningVerdict(model, 0);
      const health = { utilisation: 1, loopDelayP99Ms: 150 };
      verdict.add(healthySecond(0, 50, 1000, { durationMs: 200, health }), 1);
      expect(codesOf(verdict)).toEqual([]);
      const { verdict: level, reasons } = verdict.final(true);
      expect(level).toBe('DEGRADED');
      expect(reasons.map(({ code }) => code)).toEqual([
        model === 'open' ? 'saturated' : 'generator-bound',
        'loop-delay',
      ]);
      expect(reasons[0]!.text).toContain('busy for less than a second');
    },
  );

  test('what happens in the warm-up, or while no hit is under way, spoils nothing', () => {
    const verdict = new RunningVerdict('open', 1000);
    const bad = { loopDelayMaxMs: 5000, gcMaxMs: 900, utilisation: 1 };
    const late = { ...answeredCounts(0), scheduled: 50, dropped: { stalled: 50 } };
    verdict.add(sampleOf({ second: 0, counts: late, warmup: late, health: bad }), 1);
    verdict.add(sampleOf({ second: 1, health: bad }), 1);
    for (const second of [2, 3, 4]) verdict.add(healthySecond(second, 100, 1000), 0.5);
    expect(verdict.final(true)).toEqual({ verdict: 'VALID', reasons: [] });
  });

  test('the CPU of the node counts when it was full for three seconds', () => {
    const verdict = new RunningVerdict('open', 0);
    for (const second of [0, 1, 2]) verdict.add(healthySecond(second, 100, 1000), 0.97);
    expect(codesOf(verdict)).toEqual(['node-cpu']);
  });

  test('lateness is that of all seconds together', () => {
    const verdict = new RunningVerdict('open', 0);
    const late = (times: number) => ({ histograms: { lateness: histogramOf([20, 100 - times], [5000, times]) } });
    verdict.add(healthySecond(0, 100, 1000, late(2)), null);
    expect(codesOf(verdict)).toEqual(['late']);
    verdict.add(healthySecond(1, 100, 1000, late(0)), null);
    expect(codesOf(verdict)).toEqual([]);
  });

  test('a target that is slow, refuses and fails leaves the generator VALID', () => {
    const verdict = new RunningVerdict('open', 0);
    for (const second of [0, 1, 2, 3]) {
      verdict.add(
        healthySecond(second, 100, 900_000, {
          counts: {
            scheduled: 100,
            started: 60,
            dropped: { 'target-limited': 40 },
            unwritten: 20,
            written: 40,
            failed: 40,
            answered: 10,
          },
          inFlight: 500,
          errors: {
            'connect-refused': { count: 20, examples: [] },
            'response-timeout': { count: 30, examples: [] },
            status: { count: 10, examples: [] },
          },
        }),
        0.5,
      );
    }
    expect(verdict.final(true)).toEqual({ verdict: 'VALID', reasons: [] });
  });
});
