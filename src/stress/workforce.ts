import type { MasterContext, Member, NodeRef } from '../cluster/ports.ts';
import { nowMs } from '../lib/clock.ts';
import type { RunRecord } from './ports.ts';
import type { RunCandidate, RunView } from './view.ts';

/** How long a worker has been here before a running run is rebalanced for it; and how long a new master waits for those that are registered. */
export const SETTLE_MS = 3_000;
/** A new master that knows nobody yet waits this long before it says that there is no worker. */
const EMPTY_MS = 1_000;

export interface WorkforceOptions {
  context: Pick<MasterContext, 'members'>;
  /** Hits per second that each node has of all runs but this one, by node id. */
  loadsBeside: (run: RunRecord) => ReadonlyMap<string, number>;
}

/** The workers as runs see them; looked up once for each pass, since a thousand assignments ask for a thousand members. */
export class Workforce {
  readonly #options: WorkforceOptions;
  readonly #beganMs = nowMs();
  /** By process: when it said Hello. */
  readonly #helloAtMs = new Map<string, number>();
  #members: ReadonlyMap<string, Member> | null = null;

  constructor(options: WorkforceOptions) {
    this.#options = options;
  }

  /** What was looked up is not true any more. */
  changed(): void {
    this.#members = null;
  }

  hello(ref: NodeRef): void {
    this.#helloAtMs.set(processOf(ref), nowMs());
    this.changed();
  }

  left(ref: NodeRef): void {
    this.#helloAtMs.delete(processOf(ref));
    this.changed();
  }

  /** By the operator's or its own wish it gets no new work. */
  isLeaving(ref: NodeRef): boolean {
    const member = this.#byProcess().get(processOf(ref));
    return member !== undefined && (member.leaving || member.draining);
  }

  /** Workers that may connect soon. */
  awaited(): number {
    const ageMs = nowMs() - this.#beganMs;
    if (ageMs > SETTLE_MS) return 0;
    const workers = [...this.#byProcess().values()].filter(({ node }) => node.roles.includes('worker'));
    if (!workers.some(({ connected }) => connected) && ageMs < EMPTY_MS) return 1;
    return workers.filter(({ connected, registered, leaving }) => registered && !connected && !leaving).length;
  }

  /** @param refused node ids of those that have refused the run */
  workersFor(run: RunRecord, refused: ReadonlySet<string>): Pick<RunView, 'candidates' | 'draining'> {
    const all = this.#fitting(run).filter(({ node }) => !refused.has(node.nodeId));
    const staying = all.filter(({ leaving, draining }) => !leaving && !draining);
    return { candidates: this.#candidatesOf(run, staying), draining: all.length - staying.length };
  }

  #candidatesOf(run: RunRecord, fitting: readonly Member[]): RunCandidate[] {
    const isLimited = fitting.some(({ info }) => info?.capacity != null);
    const loads = isLimited ? this.#options.loadsBeside(run) : new Map<string, number>();
    const atMs = nowMs();
    return fitting.map(({ node, info }) => {
      const capacityLeft = info?.capacity == null ? null : Math.max(0, info.capacity - (loads.get(node.nodeId) ?? 0));
      return { node, info, capacityLeft, settled: atMs - (this.#helloAtMs.get(processOf(node)) ?? atMs) >= SETTLE_MS };
    });
  }

  #fitting(run: RunRecord): Member[] {
    const wantedLabels = Object.entries(run.placement.labels);
    return [...this.#byProcess().values()]
      .filter(({ connected, standing, node }) => connected && standing === 'live' && node.roles.includes('worker'))
      .filter(({ node }) => wantedLabels.every(([name, value]) => node.labels[name] === value));
  }

  #byProcess(): ReadonlyMap<string, Member> {
    this.#members ??= new Map(this.#options.context.members().map((member) => [processOf(member.node), member]));
    return this.#members;
  }
}

function processOf({ nodeId, incarnation }: NodeRef): string {
  return `${incarnation} ${nodeId}`;
}
