import { expect, test } from 'vitest';
import { runExitCode } from '../../src/cli/exit.ts';
import type { RunOutcome } from '../../src/cli/exit.ts';

const good: RunOutcome = {
  outputFailed: false,
  ok: 10,
  interrupted: false,
  verdict: 'VALID',
  slosMissed: false,
  strict: false,
};
const everythingWrong: RunOutcome = {
  outputFailed: true,
  ok: 0,
  interrupted: true,
  verdict: 'INVALID',
  slosMissed: true,
  strict: true,
};

test.each<[string, RunOutcome, number]>([
  ['a good run ends with 0', good, 0],
  ['a report that cannot be written ends with 1 whatever else happened', { ...everythingWrong, ok: 10 }, 1],
  ['a run without one success ends with 1 whatever else happened', { ...everythingWrong, outputFailed: false }, 1],
  ['an interrupted run ends with 130', { ...everythingWrong, outputFailed: false, ok: 1 }, 130],
  ['an INVALID run ends with 98, before its SLOs count', { ...good, verdict: 'INVALID', slosMissed: true }, 98],
  ['a DEGRADED run is good enough', { ...good, verdict: 'DEGRADED' }, 0],
  ['a DEGRADED run is not good enough with --strict', { ...good, verdict: 'DEGRADED', strict: true }, 98],
  ['a VALID run is good with --strict', { ...good, strict: true }, 0],
  ['a missed SLO ends with 99', { ...good, slosMissed: true }, 99],
  ['a DEGRADED run that missed an SLO ends with 99', { ...good, verdict: 'DEGRADED', slosMissed: true }, 99],
])('%s', (_, outcome, code) => {
  expect(runExitCode(outcome)).toBe(code);
});
