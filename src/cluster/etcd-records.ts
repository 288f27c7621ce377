import type {
  CoordinatorView,
  Doubt,
  Inhibit,
  MasterRecord,
  NodeRecord,
  NodeRef,
  Nomination,
  Role,
  SentinelRecord,
} from './ports.ts';

/** The keys of one cluster, after its prefix. Nothing that grows or beats is among them. */
export const KEYS = {
  /** Election of the master; below it a key for each campaigner: its node record. */
  election: 'election/master',
  /** `election/rehearsal/{id}`: elections that decide nothing, each of one candidate that rehearses. */
  rehearsal: 'election/rehearsal/',
  /** The term that was established last: `TermRecord`. */
  term: 'master/term',
  nomination: 'master/nomination',
  /** The operator's pause of automatic failover: `Inhibit`. */
  inhibit: 'master/inhibit',
  /** All that sentinels say begins so: `votes`, `seen`. */
  words: 'sentinel/',
  /** `sentinels/{id}`: a sentinel's `NodeRef`, under its lease, as the two below. */
  sentinels: 'sentinels/',
  /** `sentinel/votes/{term}/{id}`: the sentinel holds the master of the term for down: why. */
  votes: 'sentinel/votes/',
  /** `sentinel/seen/{node}/{id}`: the node does not answer the sentinel: `Doubt`. */
  seen: 'sentinel/seen/',
  /** `nodes/{id}`: a node's record, under its lease. */
  nodes: 'nodes/',
  /** Numbers given to nodes so far. */
  seq: 'seq/node',
  /** `seq/ids/{id}`: what was given to the id, for good: `Given`. */
  given: 'seq/ids/',
} as const;

/**
 * The keys whose changes a node of the role hears of at once. Of the others it hears soon: when a master is followed, what nobody
 * waits for would stand in its way.
 */
export const AWAITED: Record<Role, (key: string) => boolean> = {
  candidate: (key) => !key.startsWith(KEYS.words),
  worker: (key) => key === KEYS.term,
  sentinel: (key) => key.startsWith(KEYS.words),
};

export function prefixOf(cluster: string): string {
  return `/gostress/${cluster}/`;
}

/** `revision` is the create_revision of the lock's key that established it. */
export interface TermRecord {
  term: number;
  nodeId: string;
  incarnation: number;
  revision: string;
}

export interface Given {
  seq: number;
  incarnation: number;
}

/** A key and its value as etcd gives it; revisions are decimal. */
export interface Entry {
  /** After the prefix. */
  key: string;
  value: string;
  createRevision: string;
}

/** What all keys of a cluster say together. Entries that cannot be read are as good as absent. */
export function viewOf(entries: readonly Entry[]): CoordinatorView {
  const term = readJson(entries.find(({ key }) => key === KEYS.term)?.value) as TermRecord | null;
  const campaigners = entries.filter(({ key }) => key.startsWith(`${KEYS.election}/`));
  const lock = campaigners.toSorted((a, b) => (BigInt(a.createRevision) < BigInt(b.createRevision) ? -1 : 1))[0];
  const nodes = entries
    .filter(({ key }) => key.startsWith(KEYS.nodes))
    .map(({ value }) => readNode(value))
    .filter((node) => node !== null)
    .sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  return {
    master: masterOf(lock, term),
    nodes,
    nomination: readNomination(entries.find(({ key }) => key === KEYS.nomination)?.value),
    sentinels: sentinelsOf(entries),
    inhibit: readInhibit(entries.find(({ key }) => key === KEYS.inhibit)?.value),
  };
}

/** What is said by one that is not there is not heard. */
function sentinelsOf(entries: readonly Entry[]): SentinelRecord[] {
  const below = (prefix: string): { parts: string[]; value: string }[] =>
    entries
      .filter(({ key }) => key.startsWith(prefix))
      .map(({ key, value }) => ({ parts: key.slice(prefix.length).split('/'), value }));
  const [votes, seen] = [below(KEYS.votes), below(KEYS.seen)];
  return below(KEYS.sentinels)
    .flatMap(({ parts: [id], value }): SentinelRecord[] => {
      const sentinel = readJson(value) as NodeRef | null;
      if (sentinel === null) return [];
      const vote = votes.find(({ parts }) => parts[1] === id);
      const doubts = seen.flatMap((each) => (each.parts[1] === id ? [readJson(each.value) as Doubt | null] : []));
      return [
        {
          nodeId: sentinel.nodeId,
          incarnation: sentinel.incarnation,
          vote: vote === undefined ? null : { term: Number(vote.parts[0]), why: vote.value },
          doubts: doubts.filter((doubt) => doubt !== null),
        },
      ];
    })
    .sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
}

/** Written by another version it may lack something. */
export function readNomination(text: string | undefined): Nomination | null {
  const found = readJson(text) as Partial<Nomination> | null;
  if (typeof found?.nodeId !== 'string') return null;
  const { forTerm = 0, nodeId, reason = '', by = '', votes = [], candidates = [] } = found;
  return { forTerm, nodeId, reason, by, votes, candidates };
}

function readInhibit(text: string | undefined): Inhibit | null {
  const found = readJson(text) as Partial<Inhibit> | null;
  if (text === undefined) return null;
  return { reason: found?.reason ?? '', sinceWallMs: found?.sinceWallMs ?? 0 };
}

/** The holder of the lock, if it was this very key that established the term. */
function masterOf(lock: Entry | undefined, term: TermRecord | null): MasterRecord | null {
  if (lock === undefined || term?.revision !== lock.createRevision) return null;
  const node = readNode(lock.value);
  return node === null ? null : { node, term: term.term };
}

function readNode(text: string): NodeRecord | null {
  const node = readJson(text) as Partial<NodeRecord> | null;
  const isNode =
    typeof node?.nodeId === 'string' &&
    typeof node.address === 'string' &&
    Number.isSafeInteger(node.incarnation) &&
    Array.isArray(node.roles);
  return isNode ? (node as NodeRecord) : null;
}

/** The value of a key; null: there is none, or it is not JSON. */
export function readJson(text: string | undefined): unknown {
  try {
    return text === undefined ? null : JSON.parse(text);
  } catch {
    return null;
  }
}

export function termRecordOf(entry: Entry | null): TermRecord | null {
  return readJson(entry?.value) as TermRecord | null;
}

export function termOf(entry: Entry | null): number {
  return termRecordOf(entry)?.term ?? 0;
}

export function nodeOf(entry: Entry | null | undefined): NodeRecord | null {
  return readJson(entry?.value) as NodeRecord | null;
}
