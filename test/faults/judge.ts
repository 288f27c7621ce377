import { mayFollow, type RunState } from '../../src/task/status.ts';
import { HELD_UP_MS, LEADERLESS_MS, LEASE_TTL_MS, NOISE_MS } from './fault.ts';
import type { Findings } from './findings.ts';
import { gaps, withoutPermit } from './permits.ts';

/** Lines of a log are written so much after what they tell of. */
const LOG_MS = 100;
/** A permit was echoed at the end of what the record says, and a hit under it is answered after. */
const EDGE_MS = 500;
/** Results of a killed worker that it had not sent: the second that it counted, and the one that waited for its sending. */
const UNSENT_MS = 2_500;

/** Everything that is wrong, one sentence each; empty: the fault broke nothing. */
export function judge(findings: Findings): string[] {
  return Object.entries(INVARIANTS).flatMap(([name, check]) => check(findings).map((text) => `${name}: ${text}`));
}

type Check = (findings: Findings) => string[];

/** By the names of the design. */
export const INVARIANTS: Readonly<Record<string, Check>> = {
  'S1 terms are unique and grow': ({ writes, reigns }) => {
    const raised = writes.flatMap((write) => (write.kind === 'raise' ? [write.term] : []));
    return [
      ...raised.flatMap((term, i) => (i > 0 && term <= raised[i - 1]! ? [`${term} after ${raised[i - 1]}`] : [])),
      ...duplicates(reigns.map(({ term }) => term)).map((term) => `two masters of term ${term}`),
    ];
  },

  'S2 no write of a term after a later one': ({ writes }) => {
    let fence = 0;
    return writes.flatMap((write) => {
      if (write.kind === 'raise') fence = write.term;
      else if (write.term !== fence)
        return [`${write.table} was written in term ${write.term}, the fence was ${fence}`];
      return [];
    });
  },

  'S3 a worker follows no older term': ({ logs }) =>
    logs.flatMap(({ nodeId, lines }) => {
      const terms = lines.filter(({ msg }) => msg === 'connected to the master').map(({ term }) => Number(term));
      return terms.flatMap((term, i) =>
        i > 0 && term < terms[i - 1]! ? [`${nodeId}: ${terms[i - 1]}, then ${term}`] : [],
      );
    }),

  'S4 each sample is counted once': ({ samples, report, events }) => {
    const stored = sum(samples.map(({ started }) => started));
    return [
      ...(stored === report.counts.started ? [] : [`${stored} are stored, the report says ${report.counts.started}`]),
      ...events.filter((event) => event.startsWith('sample.refused')),
    ];
  },

  'S5 a sample is stored, or named as lost': ({ assignments, samples, run }) =>
    assignments.flatMap(({ number, finalSeq, nodeId }) => {
      const seqs = samples.filter(({ assignment }) => assignment === number).map(({ seq }) => seq);
      const isGapFree = seqs.toSorted((a, b) => a - b).every((seq, i) => seq === i + 1);
      if (isGapFree && finalSeq === seqs.length) return [];
      const isNamed = run.state === 'DONE_INCOMPLETE' && run.reason?.includes(`assignment ${number} (nodes/${nodeId})`);
      return isNamed
        ? []
        : [`of assignment ${number} (${nodeId}) ${seqs.length} of ${finalSeq} are stored: ${run.reason}`];
    }),

  'S6 two masters at once only while one is frozen, or after etcd lost its data, for one lease': ({ reigns, spans }) =>
    reigns.flatMap((reign, i) => {
      const next = reigns[i + 1];
      if (next === undefined || reign.toMs <= next.fromMs + LOG_MS) return [];
      // Frozen or blocked it does nothing; awake it looks at its deadline before each act, and says so soon.
      const still = spans.filter(
        ({ what, subject }) => subject === reign.nodeId && (what === 'freeze' || what === 'block'),
      );
      const awake = gaps(still, next.fromMs, reign.toMs).reduce((ms, gap) => ms + gap.toMs - gap.fromMs, 0);
      // Whose lock went with etcd's data learns it when it looks next.
      const isLockLost = spans.some(({ what, fromMs }) => what === 'wipe' && fromMs <= next.fromMs);
      if ((isLockLost || still.some(({ toMs }) => toMs >= next.fromMs)) && awake <= LEASE_TTL_MS) return [];
      return [`${reign.nodeId} (term ${reign.term}) and ${next.nodeId} (term ${next.term}) for ${awake} ms`];
    }),

  'S7 no second is above the plan': (findings) => [...above(findings, 1_000), ...above(findings, 5_000)],

  'S8 a run has one state': ({ writes }) => {
    const states = writes.flatMap((write) => (write.kind === 'fenced' && write.state !== null ? [write.state] : []));
    return states.flatMap((state, i) => {
      const before = (states[i - 1] ?? 'PENDING') as RunState;
      return state === before || mayFollow(before, state as RunState) ? [] : [`${state} after ${before}`];
    });
  },

  'S9 no hit without a permit': (findings) =>
    findings.workers.flatMap((nodeId) => {
      const hits = findings.hitsOf(nodeId);
      return withoutPermit(findings, nodeId).flatMap(({ fromMs, toMs }) => {
        const slackMs = EDGE_MS + findings.noiseMs(fromMs - 1_000, fromMs + 2_000);
        const late = hits.filter(({ atMs }) => atMs > fromMs + slackMs && atMs < toMs);
        return late.length === 0
          ? []
          : [`${late.length} of ${nodeId}, up to ${late.at(-1)!.atMs - fromMs} ms after its end`];
      });
    }),

  'L1 a master within the bound': ({ reigns, hits, fault, isStarved }) => {
    if (isStarved) return [];
    const fromMs = reigns[0]?.fromMs ?? 0;
    const longestMs = (fault.leaderlessMs ?? LEADERLESS_MS) + NOISE_MS;
    return gaps(reigns, fromMs, hits.at(-1)?.atMs ?? fromMs)
      .map((gap) => Math.round(gap.toMs - gap.fromMs))
      .filter((ms) => ms > longestMs)
      .map((ms) => `none for ${ms} ms, expected at most ${longestMs}`);
  },

  'L3 counted by the target = stored = reported': ({
    fault,
    run,
    report,
    hits,
    assignments,
    samples,
    startedMs,
    spans,
  }) => {
    const missing = hits.length - report.counts.started;
    const mayBe = fault.unknown ?? [];
    if (missing === 0 && (run.state === 'DONE') === report.complete && (report.complete || mayBe.length > 0)) return [];
    if (mayBe.length === 0) {
      return [`the target has ${hits.length}, the report ${report.counts.started}; ${run.state}: ${run.reason}`];
    }
    const bound = sum(
      assignments
        .filter(({ nodeId, finalSeq }) => mayBe.includes(nodeId) && finalSeq === null)
        .map(({ number, nodeId, share }) => {
          const stored = samples.filter(({ assignment }) => assignment === number).map(({ second }) => second + 1);
          const killedMs =
            spans.find(({ what, subject }) => what === 'kill' && subject === nodeId)?.fromMs ?? startedMs;
          const tailMs = killedMs - startedMs - Math.max(0, ...stored) * 1_000;
          return (share * Math.max(UNSENT_MS, tailMs + HELD_UP_MS)) / 1_000;
        }),
    );
    return missing >= 0 && missing <= bound ? [] : [`${missing} are missing, expected 0 to ${Math.ceil(bound)}`];
  },

  'what the plan asked for was sent': ({ fault, isStarved, report: { counts } }) =>
    fault.pauses === true || isStarved || counts.started >= counts.scheduled * 0.8
      ? []
      : [`${counts.started} of ${counts.scheduled} were started, ${counts.dropped} dropped`],

  'the API answered': ({ polls, asked, isStarved }) =>
    isStarved || polls.length * 4 >= asked ? [] : [`${polls.length} of ${asked} times`],
};

/** Stretches of a length, four to each length, with more hits than the plan, 1 % and a hit a worker. */
function above({ hits, rate, workers, noiseMs }: Findings, lengthMs: number): string[] {
  const [first, last] = [hits[0]?.atMs ?? 0, hits.at(-1)?.atMs ?? 0];
  const found: string[] = [];
  let [begin, end] = [0, 0];
  for (let fromMs = first; fromMs < last; fromMs += lengthMs / 4) {
    while (begin < hits.length && hits[begin]!.atMs < fromMs) begin++;
    while (end < hits.length && hits[end]!.atMs < fromMs + lengthMs) end++;
    const heldUpMs = HELD_UP_MS + noiseMs(fromMs - 500, fromMs + lengthMs + 500);
    const bound = ((rate * lengthMs) / 1_000) * 1.01 + workers.length + (rate * heldUpMs) / 1_000;
    if (end - begin > bound) {
      found.push(
        `${end - begin} in ${lengthMs} ms at ${Math.round(fromMs - first)} ms, expected at most ${Math.floor(bound)}`,
      );
    }
  }
  return found.slice(0, 5);
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

function duplicates<T>(values: readonly T[]): T[] {
  return [...new Set(values.filter((value, i) => values.indexOf(value) !== i))];
}
