import type { MasterRecord, NodeRecord, Nomination, CoordinatorView } from './ports.ts';

/** The keys of one cluster, after its prefix. Nothing that grows or beats is among them. */
export const KEYS = {
  /** Election of the master; below it a key for each campaigner: its node record. */
  election: 'election/master',
  /** The term that was established last: `TermRecord`. */
  term: 'master/term',
  nomination: 'master/nomination',
  /** `nodes/{id}`: a node's record, under its lease. */
  nodes: 'nodes/',
  /** Numbers given to nodes so far. */
  seq: 'seq/node',
  /** `seq/ids/{id}`: what was given to the id, for good: `Given`. */
  given: 'seq/ids/',
} as const;

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
  const nomination = readJson(entries.find(({ key }) => key === KEYS.nomination)?.value) as Nomination | null;
  return { master: masterOf(lock, term), nodes, nomination };
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
