import { nowMs } from '../lib/clock.ts';
import { CodedError, errorMessage } from '../lib/errors.ts';
import { Listeners } from '../lib/listeners.ts';
import type { Log } from '../lib/log.ts';
import { aborted, settledWithin } from '../lib/wait.ts';
import type { Mastership } from './election.ts';
import { Members } from './members.ts';
import { nominateSuccessor, otherCandidates } from './hand-over.ts';
import { Patrol } from './patrol.ts';
import type { ProbePort } from './port-probe.ts';
import type {
  Accept,
  ClusterControl,
  Coordinator,
  CoordinatorView,
  MasterContext,
  MasterDriver,
  MasterRecord,
  MemberEvent,
  NodeRecord,
  NodeRef,
  Nomination,
  Probe,
} from './ports.ts';
import { Sessions } from './sessions.ts';
import type { Timings } from './timings.ts';
import { Watchdog } from './watchdog.ts';

export interface MasterTermOptions {
  mastership: Mastership;
  node: NodeRecord;
  coordinator: Coordinator;
  probePort: ProbePort;
  timings: Timings;
  probe: Probe;
  quorum: number;
  /** By name. */
  drivers: ReadonlyMap<string, MasterDriver>;
  addressOf: (ref: NodeRef) => string | null;
  /** A worker has met this newer term. */
  onNewerTerm: (term: number) => void;
  /** The master after this one, if it is known by now. */
  successor: () => MasterRecord | null;
  log: Log;
}

/** How a term ended; `failed`: one of our drivers did, so that the node had better wait before it tries again. */
export interface TermEnd {
  why: string;
  failed: boolean;
}

interface Channel {
  hello: Listeners<[NodeRef, unknown]>;
  message: Listeners<[NodeRef, unknown]>;
}

/** One term of this node as master: the worker streams, the members, and the drivers while it lasts. */
export class MasterTerm {
  readonly #options: MasterTermOptions;
  readonly #members: Members;
  /** Asks the candidates how they are, so that who shall follow is known when an operator wants it. */
  readonly #patrol: Patrol;
  readonly #sessions: Sessions;
  readonly #memberEvents: Listeners<[MemberEvent]>;
  readonly #channels = new Map<string, Channel>();
  readonly #cluster: ClusterControl;
  #view: CoordinatorView | null = null;
  #failed = false;

  constructor(options: MasterTermOptions) {
    this.#options = options;
    const { mastership, timings, addressOf, log } = options;
    this.#memberEvents = new Listeners(this.#listenerFailed);
    this.#members = new Members({
      termBeganMs: nowMs(),
      timings,
      addressOf,
      onEvent: (event, why) => this.#tellMember(event, why),
    });
    this.#patrol = new Patrol({ probe: options.probe, timings, onProbed: () => undefined });
    this.#sessions = new Sessions({
      term: mastership.term,
      timings,
      members: this.#members,
      mayAct: () => mastership.mayAct(),
      onNewerTerm: (term, { nodeId }) => {
        options.onNewerTerm(term);
        mastership.stepDown(`worker ${nodeId} has met term ${term}`);
      },
      onHello: (from, state) => {
        for (const [name, { hello }] of this.#channels) hello.tell(from, state[name]);
      },
      onMessage: (driver, from, payload) => {
        const channel = this.#channels.get(driver);
        if (channel === undefined) log.debug({ driver, worker: from.nodeId }, 'message for a driver that is not here');
        else channel.message.tell(from, payload);
      },
      log,
    });
    this.#cluster = {
      quorum: options.quorum,
      reasons: mastership.reasons,
      view: () => this.#view,
      handOver: (to, reason) => this.#handOver(to, reason),
      inhibit: (reason) => options.coordinator.inhibit(reason === null ? null : { reason, sinceWallMs: Date.now() }),
    };
    for (const name of options.drivers.keys()) {
      this.#channels.set(name, {
        hello: new Listeners(this.#listenerFailed),
        message: new Listeners(this.#listenerFailed),
      });
    }
  }

  get accept(): Accept {
    return this.#sessions.accept;
  }

  looked(view: CoordinatorView): void {
    const atMs = nowMs();
    this.#view = view;
    this.#patrol.follow({ nodes: otherCandidates(view, this.#options.node), master: null }, atMs);
    this.#members.looked(view, atMs, null);
  }

  members(): readonly MemberEvent['member'][] {
    return this.#members.list();
  }

  /** Resolves when the mastership has ended, its streams are closed and the drivers have stopped or had their time. */
  async run(): Promise<TermEnd> {
    const { mastership, coordinator, probePort, timings, drivers, successor, log } = this.#options;
    const stopped = [...drivers].map(([name, driver]) => this.#drive(name, driver));
    const watchdog = new Watchdog({
      term: mastership.term,
      members: this.#members,
      coordinator,
      probePort,
      timings,
      log,
    });
    const watching = watchdog.run(mastership.signal);
    const beating = setInterval(() => this.#sessions.beat(), timings.heartbeatMs);
    const asking = setInterval(() => this.#patrol.tick(nowMs()), timings.sentinelProbeMs / 2);
    await aborted(mastership.signal);
    clearInterval(beating);
    clearInterval(asking);
    const why = errorMessage(mastership.signal.reason);
    const next = successor();
    this.#sessions.close(why, next && { address: next.node.address, term: next.term });
    await watching;
    if (!(await settledWithin(Promise.all(stopped), timings.driverStopMs))) {
      log.error({}, `a master driver did not stop within ${timings.driverStopMs} ms`);
    }
    this.#memberEvents.clear();
    return { why, failed: this.#failed };
  }

  async #handOver(to: string | null, reason: string): Promise<Nomination> {
    const { mastership, coordinator, node, timings, probe } = this.#options;
    const choose = (view: CoordinatorView): Promise<Nomination> =>
      nominateSuccessor({ node, term: mastership.term, view, patrol: this.#patrol, probe, timings, to, reason });
    // News of the watch may be late: who is missing there may be registered.
    const known = this.#view === null ? null : await choose(this.#view).catch(() => null);
    const nomination = known ?? (await choose(await coordinator.read()));
    if (await mastership.handOver(nomination)) return nomination;
    throw new CodedError('FAILED_PRECONDITION', `term ${mastership.term} is over: somebody else follows already`);
  }

  async #drive(name: string, driver: MasterDriver): Promise<void> {
    const { mastership } = this.#options;
    try {
      await driver.run(this.#context(name));
    } catch (error) {
      if (!mastership.signal.aborted) this.#fail(`master driver ${name} failed: ${errorMessage(error)}`, error);
    }
  }

  readonly #listenerFailed = (error: unknown): void => {
    this.#fail(`a listener of a master driver failed: ${errorMessage(error)}`, error);
  };

  #fail(why: string, error: unknown): void {
    this.#failed = true;
    this.#options.log.error({ error: error instanceof Error ? error.stack : String(error) }, why);
    this.#options.mastership.stepDown(why);
  }

  #tellMember(event: MemberEvent, why: string): void {
    // That its streams end with the term says nothing of the workers.
    if (this.#options.mastership.signal.aborted) return;
    const { node, standing, connected } = event.member;
    this.#options.log.info(
      { worker: node.nodeId, incarnation: node.incarnation, standing, why },
      `member ${event.kind}`,
    );
    this.#memberEvents.tell(event);
    // Its work may be another's by now: a ping that was held up must not be echoed before it has said what it has running.
    if (connected && standing === 'gone') this.#sessions.dismiss(node, `it was held to have stopped: ${why}`);
  }

  #context(name: string): MasterContext {
    const { node, mastership, log } = this.#options;
    const { hello, message } = this.#channels.get(name)!;
    return {
      node,
      term: mastership.term,
      log: log.child({ driver: name }),
      signal: mastership.signal,
      mayAct: () => mastership.mayAct(),
      stepDown: (why) => {
        log.warn({ driver: name, why }, 'a driver steps down');
        mastership.stepDown(why);
      },
      members: () => this.#members.list(),
      standingOf: (ref, address) => this.#members.standingOf(ref, address ?? null, nowMs()),
      onMember: (listener) => this.#memberEvents.add(listener),
      onHello: (listener) => hello.add(listener),
      onMessage: (listener) => message.add(listener),
      send: (to, payload) => this.#sessions.send(to, name, payload),
      permit: (to, granted) => this.#sessions.permit(to, granted),
      drain: (nodeId) => this.#members.drain(nodeId, nowMs()),
      cluster: this.#cluster,
    };
  }
}
