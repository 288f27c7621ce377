import { KEYS } from '../../../src/cluster/etcd-records.ts';
import { holdOffUntilMs } from '../../../src/cluster/failover.ts';
import type { Member, NodeRef, Nomination, ProbeAnswer, ToWorker } from '../../../src/cluster/ports.ts';
import { DEFAULT_TIMINGS } from '../../../src/cluster/timings.ts';
import type { SampleRecord, StressToWorker } from '../../../src/stress/ports.ts';
import type { Assign } from '../../../src/stress/work.ts';
import { decodeSample, encodeSample, sampleDigest } from '../../../src/task/sample-codec.ts';
import type { Sample } from '../../../src/task/sample.ts';
import type { EngineWatcher, SimEngine } from './engine.ts';
import type { SimDisk } from './disk.ts';
import type { Change } from './etcd.ts';
import type { Host } from './host.ts';
import { FILE_HEAD, frameAt } from '../../../src/stress/spill-frames.ts';
import { RunJudge } from './run-judge.ts';
import type { World } from './world.ts';

/** Clocks, and what happens between two ticks of an engine. */
const SLACK_MS = 1;
/** A sentinel knows by then of another that sits, and has taken back a vote for which there is no reason any more. */
const KNOWN_MS = 6_000;
/** A master that is killed in calm is followed by then; its lease lasts longer. */
const FOLLOWED_MS = 3_600;

interface Made {
  host: string;
  incarnation: number;
  runId: bigint;
  assignment: number;
  seq: number;
  ok: number;
  digest: Uint8Array;
}

/** Looks at everything that happens, and knows what must never happen. */
export class Judge implements EngineWatcher {
  readonly violations: string[] = [];
  /** Every sample that an engine made. */
  readonly made: Made[] = [];
  /** Hits that were sent, by run. */
  readonly hits = new Map<bigint, number>();
  readonly runs: RunJudge;
  readonly #world: World;
  #newestWrite = 0;
  #terms = 0;
  /** Who held each term. */
  readonly #holders = new Map<number, string>();
  /** Terms that a sentinel ended: its master may believe in it until then. */
  /** Samples of processes that are no more, which were on disk and not acknowledged then. */
  readonly #kept = new Set<string>();
  readonly #believedUntilMs = new Map<number, number>();
  /** `sentinel address` → of which term a master has answered there each time, and since when. */
  readonly #answers = new Map<string, { term: number; sinceMs: number }>();
  followedMs: number | null = null;

  constructor(world: World) {
    this.#world = world;
    this.runs = new RunJudge(world, (text) => this.violated(text));
  }

  violated(text: string): void {
    if (this.violations.length < 10) this.violations.push(`${(this.#world.clock.nowMs / 1000).toFixed(3)} s: ${text}`);
    this.#world.say('judge', text, {});
  }

  /** After each thing that happened. */
  look(): void {
    this.#oneHolder();
    this.#rate();
  }

  /** S1: terms only grow, and each is given once. */
  #oneHolder(): void {
    const { etcd, hosts, isEtcdHonest, wasWiped } = this.#world;
    for (; this.#terms < etcd.terms.length; this.#terms++) {
      const [before, now] = [etcd.terms[this.#terms - 1], etcd.terms[this.#terms]!];
      if (before !== undefined && now.term <= before.term && !wasWiped) {
        this.violated(`S1: term ${now.term} of ${now.nodeId} does not follow term ${before.term} of ${before.nodeId}`);
      }
    }
    const masters = [...hosts.values()].filter(({ node }) => node.mastership() !== null);
    for (const { name, node } of masters) this.#isHeld(node.mastership()!.term, `${name} ${node.record.incarnation}`);
    if (masters.length < 2) return;
    const { nowMs } = this.#world.clock;
    const isOver = ({ node }: Host) => nowMs < (this.#believedUntilMs.get(node.mastership()!.term) ?? -Infinity);
    const leading = masters.filter((host) => host.leads && !isOver(host));
    if (leading.length > 1 && isEtcdHonest) this.violated(`S6: ${namesOf(leading)} may act at the same time`);
  }

  #isHeld(term: number, holder: string): void {
    const before = this.#holders.get(term);
    this.#holders.set(term, holder);
    if (before !== undefined && before !== holder) this.violated(`S1: term ${term} of ${before} is ${holder}'s too`);
    const newest = Math.max(...this.#holders.keys());
    if (before === undefined && term < newest) this.violated(`S1: term ${term} begins after term ${newest}`);
  }

  /** What came of a sentinel's probe. */
  probed(from: string, address: string, answer: ProbeAnswer | null): void {
    const key = `${from} ${address}`;
    if (answer?.isMaster !== true) this.#answers.delete(key);
    else if (this.#answers.get(key)?.term !== answer.term) {
      this.#answers.set(key, { term: answer.term, sinceMs: this.#world.clock.nowMs });
    }
  }

  /** S10: a sentinel ends a term only while those agree that must, and have reason to. */
  commit(changes: readonly Change[]): void {
    const put = changes.find((change) => 'put' in change && change.put === KEYS.nomination);
    if (put === undefined || !('put' in put)) return;
    const { by, forTerm, nodeId } = JSON.parse(put.value) as Nomination;
    if (by === 'operator') return;
    const { etcd, clock } = this.#world;
    const { established, lock } = etcd;
    const isEnded = changes.some((change) => 'delete' in change && change.delete === lock?.key);
    if (established?.term !== forTerm || !isEnded) {
      return this.violated(`S10: ${by} names ${nodeId} to follow term ${forTerm}, and does not end it`);
    }
    this.#believedUntilMs.set(forTerm, clock.nowMs + DEFAULT_TIMINGS.leaseTtlMs);
    const sitting = etcd.list(KEYS.sentinels).filter(({ sinceMs }) => clock.nowMs - sinceMs > KNOWN_MS);
    const voters = etcd.list(`${KEYS.votes}${forTerm}/`).map(({ key }) => key.split('/').at(-1)!);
    if (2 * voters.length <= sitting.length || voters.length === 0) {
      this.violated(`S10: ${by} ends term ${forTerm} by ${voters.length} votes of ${sitting.length} sentinels`);
    }
    if (etcd.get(KEYS.inhibit) !== null) this.violated(`S10: ${by} ends term ${forTerm}; an operator has paused that`);
    const { address } = JSON.parse(lock!.value) as Host['record'];
    for (const voter of voters) {
      const seen = this.#answers.get(`${voter} ${address}`);
      if (seen?.term === forTerm && clock.nowMs - seen.sinceMs > KNOWN_MS) {
        this.violated(`S10: ${by} ends term ${forTerm} by the vote of ${voter}, which its master answers all the time`);
      }
    }
  }

  /** L4: this master is about to be killed, and whether sentinels can be expected to see to it. */
  killedInCalm({ name }: Host): void {
    const { etcd, hosts, clock } = this.#world;
    const begun = etcd.terms.map(({ atMs }) => atMs);
    const sitting = etcd.list(KEYS.sentinels).map(({ key }) => key.slice(KEYS.sentinels.length));
    const others = [...hosts.values()].filter((host) => host.name !== name && !host.process.isDead);
    const isOthers = (nodeId: string) => others.some((host) => host.name === nodeId);
    const isExpected =
      2 * sitting.filter(isOthers).length > sitting.length &&
      this.#world.withRole('candidate').some(isOthers) &&
      etcd.get(KEYS.inhibit) === null &&
      // What each of them takes for a failover is a new term, though not each new term.
      Math.max(begun.at(-1)!, holdOffUntilMs(begun.slice(1))) + DEFAULT_TIMINGS.termSettleMs < clock.nowMs;
    if (!isExpected) return;
    const killedMs = clock.nowMs;
    const { length } = begun;
    clock.after(FOLLOWED_MS, null, () => {
      const next = etcd.terms[length];
      if (next === undefined) this.violated(`L4: nobody has followed ${name} within ${FOLLOWED_MS} ms`);
      else this.followedMs = next.atMs - killedMs;
    });
  }

  /** S7: the parts that are loaded never sum to more than the whole. */
  #rate(): void {
    if (this.#world.moving !== 'strict' || !this.#world.isEtcdHonest) return;
    let sum = 0;
    let grain = 0;
    const loading: string[] = [];
    for (const host of this.#world.hosts.values()) {
      for (const engine of host.engines) {
        const { fraction } = engine;
        if (fraction === 0) continue;
        sum += fraction;
        grain = Math.max(grain, 1 / engine.share.of);
        loading.push(`${host.name} ${engine.share.weight}/${engine.share.of}`);
      }
    }
    if (sum > 1 + loading.length * grain) {
      this.violated(`S7: ${loading.join(' + ')} = ${sum.toFixed(3)} of the whole are loaded`);
    }
  }

  /** S2: no write of an older term is accepted after one of a newer. */
  wrote(term: number, what: string): void {
    if (term < this.#newestWrite) this.violated(`S2: term ${term} wrote ${what} after term ${this.#newestWrite}`);
    this.#newestWrite = Math.max(this.#newestWrite, term);
  }

  /** S3, S5: what a worker's driver is told. */
  command(host: Host, message: StressToWorker, term: number): void {
    if (term < host.metTerm) this.violated(`S3: ${host.name} obeys term ${term} after term ${host.metTerm}`);
    host.metTerm = Math.max(host.metTerm, term);
    if (message.type !== 'ack') return;
    const { runId, assignment, incarnation, upTo } = message;
    const { sql } = this.#world;
    if (!sql.assignments.get(runId)!.has(assignment)) return;
    const key = `${runId} ${assignment} ${incarnation}`;
    const rows = sql.samples.get(runId)!;
    for (let seq = (host.acked.get(key) ?? 0) + 1; seq <= upTo; seq++) {
      const mine = this.made.find(
        (m) => m.runId === runId && m.assignment === assignment && m.incarnation === incarnation && m.seq === seq,
      );
      const stored = rows.get(sql.keyOf({ assignment, incarnation, seq }));
      if (mine !== undefined && (stored === undefined || !isSame(stored, mine))) {
        this.violated(`S5: ${host.name} was told that sample ${seq} of assignment ${assignment} is stored; it is not`);
      }
    }
    host.acked.set(key, Math.max(host.acked.get(key) ?? 0, upTo));
  }

  /** What comes to a worker over its stream. */
  heard(host: Host, message: ToWorker): void {
    if (message.type === 'heartbeat' && message.echoMs !== null && message.term >= host.metTerm) {
      host.echoedMs = Math.max(host.echoedMs, message.echoMs);
    }
  }

  /** S9: no hit without a permit, by grounds of the judge's own. */
  hit(engine: SimEngine, hits: number, second: number): void {
    const host = this.#hostOf(engine);
    const sinceMs = engine.process.monotonicMs() - host.echoedMs - SLACK_MS;
    const { permitMs, permitOnLeaseMs } = DEFAULT_TIMINGS;
    const { nodeId, incarnation } = host.record;
    const hasLease = this.#world.etcd.isRegistered(nodeId, incarnation) || !this.#world.isEtcdHonest;
    if (sinceMs > (hasLease ? permitOnLeaseMs : permitMs)) {
      const lease = hasLease ? 'with' : 'without';
      this.violated(
        `S9: ${host.name} loads ${Math.round(sinceMs)} ms after it sent the last echoed ping, ${lease} a lease`,
      );
    }
    const { runId } = engine.key;
    this.runs.hit(engine, hits, second);
    this.hits.set(runId, (this.hits.get(runId) ?? 0) + hits);
  }

  began(engine: SimEngine, inMs: number): void {
    this.runs.began(engine, inMs);
  }

  due(engine: SimEngine, hits: number): void {
    this.runs.due(engine, hits);
  }

  sample(engine: SimEngine, sample: Sample): void {
    const host = this.#hostOf(engine);
    const digest = sampleDigest(encodeSample(sample));
    const { incarnation } = host.record;
    this.made.push({ host: host.name, incarnation, ...engine.key, seq: sample.seq, ok: sample.counts.ok, digest });
  }

  /** A process is about to end: what is on its disk is not lost. */
  kept({ acked }: Host, { files }: SimDisk): void {
    for (const bytes of files.values()) {
      let at = FILE_HEAD.length;
      for (let found = frameAt(bytes, at); found !== null; found = frameAt(bytes, (at += found.length))) {
        if (found.frame.kind !== 'sample') continue;
        const { runId, assignment, incarnation, seq } = found.frame.record;
        if (seq > (acked.get(`${runId} ${assignment} ${incarnation}`) ?? 0)) {
          this.#kept.add(`${runId} ${assignment} ${incarnation} ${seq}`);
        }
      }
    }
  }

  /** A master says that a process surely has stopped. */
  gone(term: number, ref: NodeRef): void {
    const { sql, hosts, moving, isEtcdHonest } = this.#world;
    const host = hosts.get(ref.nodeId);
    if (term !== sql.fence.term || moving !== 'strict' || !isEtcdHonest || host?.record.incarnation !== ref.incarnation)
      return;
    if ([...host.engines].some((engine) => engine.mayLoad)) {
      this.violated(`S7: the master of term ${term} says that ${ref.nodeId} is gone, which has a permit and loads`);
    }
  }

  // --- After the end -----------------------------------------------------------------------------------------------

  /** L1–L3 and S4, once the faults are over and all had its time. */
  end(): void {
    const { hosts, sql, killed } = this.#world;
    if (![...hosts.values()].some((host) => host.leads)) this.violated('L1: nobody is master');
    for (const host of hosts.values()) {
      if (!host.isIdle) this.violated(`L3: ${host.name} still keeps what it made, or loads`);
    }
    for (const [key, times] of sql.counted) if (times > 1) this.violated(`S4: sample ${key} is counted ${times} times`);
    for (const run of sql.runs.values()) {
      this.runs.end(run);
      const made = this.made.filter((m) => m.runId === run.id);
      const rows = sql.samples.get(run.id)!;
      const isStored = (m: Made) => {
        const row = rows.get(sql.keyOf(m));
        return row !== undefined && isSame(row, m);
      };
      const lost = made.filter((m) => !isStored(m));
      const ofKilled = (m: Made) =>
        killed.has(`${m.host} ${m.incarnation}`) &&
        !this.#kept.has(`${m.runId} ${m.assignment} ${m.incarnation} ${m.seq}`);
      const first = lost.find((m) => !ofKilled(m) || run.state === 'DONE');
      if (first !== undefined) {
        const { host, assignment, seq } = first;
        this.violated(
          `L3: sample ${seq} of assignment ${assignment} of ${host} is not stored; the run is ${run.state}`,
        );
      }
      if (!['DONE', 'DONE_INCOMPLETE', 'CANCELLED', 'FAILED'].includes(run.state)) {
        this.violated(`L2: run ${run.id} is ${run.state} and does not end: ${run.reason}`);
      }
      if (run.state === 'FAILED') this.violated(`run ${run.id} failed: ${run.reason}`);
      const counted = made.filter(isStored).reduce((sum, { ok }) => sum + ok, 0);
      if (killed.size === 0 && counted !== (this.hits.get(run.id) ?? 0)) {
        this.violated(`L3: run ${run.id} sent ${this.hits.get(run.id)} hits and stored ${counted}`);
      }
    }
  }

  #hostOf(engine: SimEngine): Host {
    return [...this.#world.hosts.values(), ...this.#world.former].find((host) => host.process === engine.process)!;
  }
}

/** What is stored is what was made; its worker may have added that it held the load, for want of room. */
function isSame({ digest, data }: SampleRecord, made: Made): boolean {
  if (Buffer.from(digest).equals(made.digest)) return true;
  const { heldMs, ...sample } = decodeSample(data);
  return heldMs !== undefined && Buffer.from(sampleDigest(encodeSample(sample))).equals(made.digest);
}

function namesOf(hosts: readonly Host[]): string {
  return hosts.map(({ name, node }) => `${name} (term ${node.mastership()!.term})`).join(' and ');
}

export type Standing = Member['standing'];
export type { Assign };
