import { nowMs } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { pause } from '../lib/wait.ts';
import type { Members } from './members.ts';
import type { ProbePort } from './port-probe.ts';
import type { Coordinator, NodeRef } from './ports.ts';
import type { Timings } from './timings.ts';

/** Ports tried at once, and the longest pause between two tries of one. */
const MAX_PROBES = 32;
const MAX_PROBE_PAUSE_MS = 1_000;
/** The coordinator is asked at most this often for what only a fresh look can show. */
const LOOK_EVERY_MS = 500;

export interface WatchdogOptions {
  /** Of the mastership that it serves. */
  term: number;
  members: Members;
  coordinator: Pick<Coordinator, 'read'>;
  probePort: ProbePort;
  timings: Timings;
  log: Log;
}

interface Probe {
  nextAtMs: number;
  pauseMs: number;
  running: boolean;
}

/** Follows suspect workers until they are heard of again or surely have stopped. */
export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #probes = new Map<string, Probe>();
  #lookedAtMs = -Infinity;
  #looking = false;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { members, timings } = this.#options;
    while (!signal.aborted) {
      const now = nowMs();
      members.tick(now);
      this.#probe(now, signal);
      if (!this.#looking && members.needsLook(now) && now - this.#lookedAtMs >= LOOK_EVERY_MS) {
        this.#lookedAtMs = now;
        void this.#look(now, signal);
      }
      await pause(timings.probeEveryMs, signal);
    }
  }

  #probe(now: number, signal: AbortSignal): void {
    const { probeEveryMs } = this.#options.timings;
    const suspects = new Map(this.#options.members.suspects().map((each) => [keyOf(each.ref), each]));
    for (const key of this.#probes.keys()) if (!suspects.has(key)) this.#probes.delete(key);
    let running = [...this.#probes.values()].filter((probe) => probe.running).length;
    for (const [key, { ref, address }] of suspects) {
      const probe = this.#probes.get(key) ?? { nextAtMs: now, pauseMs: probeEveryMs, running: false };
      this.#probes.set(key, probe);
      if (probe.running || probe.nextAtMs > now || running >= MAX_PROBES) continue;
      running++;
      probe.running = true;
      void this.#try(ref, address, probe, signal);
    }
  }

  async #try(ref: NodeRef, address: string, probe: Probe, signal: AbortSignal): Promise<void> {
    const { probePort, timings } = this.#options;
    const state = await probePort(address, timings.probeDeadlineMs);
    probe.running = false;
    probe.nextAtMs = nowMs() + probe.pauseMs;
    probe.pauseMs = Math.min(MAX_PROBE_PAUSE_MS, probe.pauseMs * 1.5);
    if (state === 'refused' && !signal.aborted) this.#options.members.portRefused(ref, nowMs());
  }

  async #look(askedAtMs: number, signal: AbortSignal): Promise<void> {
    const { term, coordinator, members, log } = this.#options;
    this.#looking = true;
    try {
      const view = await coordinator.read();
      // Where our own lock is not to be seen, records are not gone because leases ended: the coordinator has lost its data.
      const isTrue = view.master?.term === term;
      if (!signal.aborted) members.looked(view, nowMs(), isTrue ? askedAtMs : null);
    } catch (error) {
      log.debug({ why: errorMessage(error) }, 'the coordinator was not readable');
    } finally {
      this.#looking = false;
    }
  }
}

function keyOf({ nodeId, incarnation }: NodeRef): string {
  return `${incarnation} ${nodeId}`;
}
