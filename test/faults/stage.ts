import { expect, test } from 'vitest';
import { MISSING } from '../e2e/cluster.ts';
import type { Fault } from './fault.ts';
import { gather, type Findings } from './findings.ts';
import { judge } from './judge.ts';
import { Scene } from './scene.ts';

/** Starting, and coming to rest after the plan. */
const AROUND_MS = 300_000;

/** One test for each: the fault happens while a task runs, and then everything that is known is judged. */
export function stage(faults: readonly Fault[]): void {
  for (const fault of faults) {
    const timeoutMs = fault.seconds * 1_000 + AROUND_MS;
    const missing = fault.missing ?? MISSING;
    const name = missing === null ? fault.name : `${fault.name} (needs ${missing})`;
    test.skipIf(missing !== null)(name, async () => happen(fault), timeoutMs);
  }
}

async function happen(fault: Fault): Promise<void> {
  using around = new DisposableStack();
  around.defer(() => fault.after?.());
  await fault.before?.();
  await using scene = await Scene.start(fault);
  await scene.load();
  try {
    await fault.act(scene);
  } catch (error) {
    throw new Error(`the fault could not be carried out\n${logsOf(scene)}`, { cause: error });
  }
  await scene.rest();
  const findings = await gather(scene);
  if (findings.isStarved) console.warn(`the machine was too busy to judge how fast anything went: ${fault.name}`);
  const wrong = judge(findings);
  expect(wrong, wrong.length === 0 ? '' : `${timeline(findings)}\n${logsOf(scene)}`).toEqual([]);
  fault.expects?.(findings);
}

/** What was done and who was master, by the second. */
function timeline({ spans, reigns, startedMs, report, run, hits }: Findings): string {
  const at = (ms: number): string => ((ms - startedMs) / 1_000).toFixed(2);
  return [
    `${run.state} ${run.reason}; ${hits.length} hits, ${JSON.stringify(report.counts)}`,
    ...spans.map(({ what, subject, fromMs, toMs }) => `${at(fromMs)} to ${at(toMs)}: ${what} ${subject}`),
    ...reigns.map(
      ({ nodeId, term, fromMs, toMs }) => `${at(fromMs)} to ${at(toMs)}: ${nodeId} is master, term ${term}`,
    ),
  ].join('\n');
}

function logsOf({ cluster }: Scene): string {
  return cluster.processes.map(({ nodeId, output }) => `${nodeId}:\n${output.slice(-3_000)}`).join('\n');
}
