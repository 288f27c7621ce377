import type { Model, Step } from './checker.ts';

export interface PermitMutants {
  /** A permit counts from the arrival of its echo. */
  fromReceipt?: boolean;
  /** A share moves as soon as the stream of its owner has closed. */
  onClosedStream?: boolean;
  /** The master counts from the echo it sent last, but takes any look at the coordinator, an old one too. */
  oldLook?: boolean;
  /** A new master forgets that the one before it may have echoed. */
  forgetsFormer?: boolean;
  /** A master goes on echoing one that it said was gone. */
  echoesTheGone?: boolean;
  /** A lease that was won anew revives an older permit. */
  newLeaseRevives?: boolean;
}

/** Ticks: a permit, the longest one with a lease, and a lease. Clocks tick together here, so that no margin is needed. */
const PERMIT = 1;
const LONGEST = 3;
const LEASE = 2;
/** At this age of the last echo nothing is left to wait for; ages are told apart only as far as they matter. */
const OLD = LONGEST + LEASE;

/** Ages, in ticks. -1: there is none. */
interface State {
  worker: {
    isDead: boolean;
    /** Since it sent the last ping that it got an echo of. */
    permit: number;
    /** Since the send of the last good renewal; -1: it knows that the lease is lost. */
    lease: number;
    /** Since it won its lease. */
    since: number;
  };
  /** A ping on its way, an echo on its way (since its ping was sent), a renewal (since its send) and its answer. */
  net: { ping: number; echo: number; renewal: number; answer: number };
  /** Since etcd last heard of it; -1: its record is gone. */
  record: number;
  /** Since the present master followed another, which may believe in itself for a lease; -1: there is none such. */
  former: number;
  master: {
    /** Since the last ping came; -1: none in this term. */
    pinged: number;
    /** Since the ping came that was echoed last, or the term began. */
    echoed: number;
    isInherited: boolean;
    isConnected: boolean;
    /** Since the begin of the last look that showed no record; -1: the last look showed one. */
    absent: number;
    terms: number;
    hasMoved: boolean;
  };
}

/**
 * One worker with a share, its master (which another may follow once), and another worker that shall get the share: never
 * both load. Messages take any time.
 */
export function permitModel(mutants: PermitMutants = {}): Model<State> {
  const master = {
    pinged: -1,
    echoed: 0,
    isInherited: false,
    isConnected: true,
    absent: -1,
    terms: 1,
    hasMoved: false,
  };
  return {
    initial: {
      worker: { isDead: false, permit: 0, lease: 0, since: 0 },
      net: { ping: -1, echo: -1, renewal: -1, answer: -1 },
      record: 0,
      former: -1,
      master,
    },
    broken: (state) =>
      state.master.hasMoved && loads(state) ? 'S7: the share was moved and its former owner loads' : null,
    *steps(state) {
      // Nothing more can go wrong for good once nobody can load any more.
      if (state.worker.isDead && state.master.hasMoved) return;
      yield ['a tick passes', canonical(ticked(state))];
      for (const steps of [workerSteps(state, mutants), serverSteps(state), masterSteps(state, mutants)]) {
        for (const [sentence, after] of steps) yield [sentence, canonical(after)];
      }
    },
  };
}

/** What makes no difference any more is forgotten, so that states which differ in nothing else are one. */
function canonical(state: State): State {
  const { worker, net, master } = state;
  const isUseless = worker.isDead || net.echo >= LONGEST;
  const past = { pinged: -1, echoed: 0, isInherited: false, isConnected: false, absent: -1, terms: 2, hasMoved: true };
  return {
    ...state,
    worker: { ...worker, since: worker.lease < 0 ? 0 : worker.since },
    net: { ...net, echo: isUseless ? -1 : net.echo, ping: net.ping >= LONGEST ? -1 : net.ping },
    master:
      master.hasMoved && !master.isConnected
        ? past
        : { ...master, pinged: master.pinged >= LONGEST ? -1 : master.pinged },
  };
}

function loads({ worker: { isDead, permit, lease, since } }: State): boolean {
  if (isDead) return false;
  const isCovered = lease >= 0 && lease < LEASE && permit < LONGEST && permit <= since;
  return permit < PERMIT || isCovered;
}

function ticked(state: State): State {
  const older = (age: number, most: number): number => (age < 0 ? age : Math.min(most, age + 1));
  const { worker, net, record, former, master } = state;
  const { ping, echo, renewal, answer } = net;
  return {
    worker: {
      ...worker,
      permit: older(worker.permit, LONGEST),
      lease: older(worker.lease, LEASE),
      since: older(worker.since, LONGEST),
    },
    net: {
      ping: older(ping, LONGEST),
      echo: older(echo, LONGEST),
      renewal: older(renewal, LEASE),
      answer: older(answer, LEASE),
    },
    record: older(record, LEASE),
    former: former + 1 >= LEASE ? -1 : older(former, LEASE),
    master: {
      ...master,
      pinged: older(master.pinged, LONGEST),
      echoed: older(master.echoed, OLD),
      absent: older(master.absent, OLD),
    },
  };
}

function* workerSteps(state: State, mutants: PermitMutants): Iterable<Step<State>> {
  const { worker, net, record } = state;
  if (worker.isDead) return;
  const isHeard = state.master.isConnected;
  const be = (part: Partial<State['worker']>, also: Partial<State['net']> = {}): State => ({
    ...state,
    worker: { ...worker, ...part },
    net: { ...net, ...also },
  });
  yield ['the worker is killed', { ...be({ isDead: true }), net: { ...net, ping: -1 } }];
  if (net.ping < 0 && isHeard) yield ['the worker pings', be({}, { ping: 0 })];
  if (net.echo >= 0) {
    const permit = Math.min(worker.permit, mutants.fromReceipt === true ? 0 : net.echo);
    yield ['an echo reaches the worker', be({ permit }, { echo: -1 })];
  }
  if (net.renewal < 0 && net.answer < 0 && worker.lease > 0)
    yield ['the worker renews its lease', be({}, { renewal: 0 })];
  if (net.answer >= 0) {
    const isLate = worker.lease >= LEASE;
    yield ['the worker hears that its lease is renewed', be({ lease: isLate ? -1 : net.answer }, { answer: -1 })];
  }
  if (worker.lease >= LEASE) yield ['the worker gives up its lease', be({ lease: -1 }, { renewal: -1, answer: -1 })];
  if (worker.lease < 0 && record < 0) {
    const since = mutants.newLeaseRevives === true ? OLD : 0;
    yield ['the worker registers again', { ...be({ lease: 0, since }), record: 0 }];
  }
}

function* serverSteps(state: State): Iterable<Step<State>> {
  const { net, record, worker } = state;
  if (net.renewal >= 0) {
    const lost = { ...state, net: { ...net, renewal: -1 } };
    yield ['a renewal is lost', lost];
    if (record >= 0) yield ['etcd renews the lease', { ...lost, record: 0, net: { ...lost.net, answer: net.renewal } }];
    else yield ['etcd says that the lease is gone', { ...lost, worker: { ...worker, lease: -1 } }];
  }
  // By its own clock, and perhaps later.
  if (record >= LEASE) yield ['etcd ends the lease of the worker', { ...state, record: -1 }];
}

function* masterSteps(state: State, mutants: PermitMutants): Iterable<Step<State>> {
  const { master, net, worker, record } = state;
  const be = (part: Partial<State['master']>, also: Partial<State['net']> = {}): State => ({
    ...state,
    master: { ...master, ...part },
    net: { ...net, ...also },
  });
  if (master.isConnected) {
    // One that is lost with its stream, or never sent, is the same to everybody.
    if (net.ping >= 0) yield ['a ping reaches the master', be({ pinged: net.ping }, { ping: -1 })];
    // How old its ping is by now is what counts for the permit; the master knows only when it came.
    if (master.pinged >= 0 && net.echo < 0) {
      yield ['the master echoes the ping', be({ echoed: 0, isInherited: false, pinged: -1 }, { echo: master.pinged })];
    }
    yield ['the stream breaks', be({ isConnected: false, pinged: -1 }, { ping: -1 })];
  } else if (!worker.isDead && !master.hasMoved) {
    yield ['the worker connects again', { ...be({ isConnected: true }), former: -1 }];
  }
  // Its worker has not met the new one yet.
  if (state.former >= 0 && net.echo < 0 && !worker.isDead) {
    yield ['the former master echoes a ping', be({}, { echo: 0 })];
  }
  if (record < 0 && master.absent !== 0) yield ['the master looks: no record', be({ absent: 0 })];
  if (record >= 0 && master.absent >= 0) yield ['the master looks: there is a record', be({ absent: -1 })];
  if (master.terms === 1 && !master.hasMoved) {
    const isInherited = mutants.forgetsFormer !== true;
    const anew = { pinged: -1, echoed: 0, isInherited, isConnected: false, absent: -1, terms: 2 };
    yield ['another master follows', { ...be(anew, { ping: -1 }), former: 0 }];
  }
  if (master.hasMoved) return;
  const why = goneBecause(state, mutants);
  if (why === null) return;
  // It is sent away with it; when it comes again it is told to stop first.
  const away = mutants.echoesTheGone === true ? {} : { isConnected: false, pinged: -1 };
  yield [`the master moves the share: ${why}`, be({ hasMoved: true, ...away }, 'pinged' in away ? { ping: -1 } : {})];
}

/** As `standing.ts` has it. */
function goneBecause({ master, worker }: State, mutants: PermitMutants): string | null {
  const inherited = master.isInherited ? LEASE : 0;
  const over = inherited + PERMIT;
  // The look began after the permit was over.
  const lookedAt = mutants.oldLook === true ? master.echoed : master.echoed - master.absent;
  if (!master.isConnected && worker.isDead) return 'its port refuses connections';
  if (!master.isConnected && mutants.onClosedStream === true) return 'its stream is closed';
  if (master.absent >= 0 && lookedAt >= over) return 'its record is gone and its permit is over';
  if (master.echoed >= inherited + LONGEST) return 'no permit lasts so long';
  return null;
}
