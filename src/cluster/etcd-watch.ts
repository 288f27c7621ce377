import { isDeepStrictEqual } from 'node:util';
import type { IWatchResponse, Namespace, Watcher } from 'etcd3';
import { nowMs } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import { Listeners } from '../lib/listeners.ts';
import type { Log } from '../lib/log.ts';
import { isOver, pause, settledWithin } from '../lib/wait.ts';
import { viewOf, type Entry } from './etcd-records.ts';
import type { CoordinatorView, Subscription } from './ports.ts';

/** A watch may lose events when its connection drops: everything is listed again this often, whatever it says. */
const LIST_EVERY_MS = 2_000;
/** In a cluster of more than 200 nodes less often, so that the lists of all of them burden etcd no more than in proportion. */
const LIST_MS_PER_NODE = 10;
const LIST_AT_LEAST_EVERY_MS = 10_000;
/** After a list that failed the next one is not hurried: all nodes would ask an etcd that is just coming back. */
const RELIST_MS = 500;
/** Events that come so soon after others are told with one another. */
const SETTLE_MS = 10;
/** Events that nobody here waits for are told this much later. */
const PATIENCE_MS = 200;

/** All keys of a cluster at a revision of etcd, by key. */
export interface Listed {
  revision: bigint;
  entries: Map<string, Entry>;
}

/** What an event says of a key. */
interface Change {
  key: string;
  /** null: it is deleted. */
  entry: Entry | null;
  revision: bigint;
}

/** Follows the keys of a cluster: what a list has shown, and since then the events of a watch. Works while somebody listens. */
export class EtcdWatch {
  readonly #keys: Namespace;
  readonly #list: () => Promise<Listed>;
  readonly #isAwaited: (key: string) => boolean;
  readonly #log: Log;
  readonly #listeners: Listeners<[CoordinatorView | null]>;
  #count = 0;
  /** What is known of the keys; null: etcd does not answer. */
  #known: Listed | null = null;
  /** The last change of each key since the last list was asked for. */
  #since = new Map<string, Change>();
  /** undefined: nothing was told yet. */
  #last: CoordinatorView | null | undefined;
  #toldAtMs = -Infinity;
  #stop = new AbortController();
  #hint = new AbortController();

  /** @param isAwaited whether somebody here waits for a change of the key, which is given after the prefix of all keys */
  constructor(keys: Namespace, list: () => Promise<Listed>, isAwaited: (key: string) => boolean, log: Log) {
    this.#keys = keys;
    this.#list = list;
    this.#isAwaited = isAwaited;
    this.#log = log;
    this.#listeners = new Listeners((error) => log.error({ why: errorMessage(error) }, 'a watcher of etcd failed'));
  }

  add(listener: (view: CoordinatorView | null) => void): Subscription {
    const added = this.#listeners.add(listener);
    let isClosed = false;
    const known = this.#last;
    if (this.#count++ === 0) this.#start();
    // Whoever comes later is told what the others know.
    else if (known !== undefined) setImmediate(() => isClosed || listener(known));
    const close = (): void => {
      if (isClosed) return;
      isClosed = true;
      added.close();
      if (--this.#count === 0) this.stop();
    };
    return { close, [Symbol.dispose]: close };
  }

  stop(): void {
    this.#stop.abort();
    this.#last = undefined;
    this.#known = null;
  }

  #start(): void {
    const stop = (this.#stop = new AbortController());
    void this.#follow(stop.signal);
    void this.#watch(stop.signal);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const hint = (this.#hint = new AbortController());
      this.#since.clear();
      const listed = await this.#list().catch((error: unknown) => {
        this.#log.debug({ why: errorMessage(error) }, 'etcd could not be listed');
        return null;
      });
      if (isOver(signal)) return;
      this.#known = listed;
      this.#apply([...this.#since.values()]);
      this.#tell();
      await pause(listed === null ? RELIST_MS : SETTLE_MS, signal);
      await pause(listAgainMs(this.#last?.nodes.length ?? 0), AbortSignal.any([signal, hint.signal]));
    }
  }

  /** Of changes that are known already nothing comes: a list, or a later event, has shown more. */
  #apply(changes: readonly Change[]): void {
    const known = this.#known;
    if (known === null) return;
    const { revision: before, entries } = known;
    for (const { key, entry, revision } of changes) {
      if (revision <= before) continue;
      if (entry === null) entries.delete(key);
      else entries.set(key, entry);
      if (revision > known.revision) known.revision = revision;
    }
  }

  #tell(): void {
    this.#toldAtMs = nowMs();
    const view = this.#known && viewOf([...this.#known.entries.values()]);
    if (this.#last !== undefined && isDeepStrictEqual(view, this.#last)) return;
    this.#last = view;
    this.#listeners.tell(view);
  }

  async #watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let watcher: Watcher | null = null;
      try {
        watcher = this.#keys.watch().prefix('').watcher();
        await this.#ended(watcher, signal);
      } catch (error) {
        this.#log.debug({ why: errorMessage(error) }, 'the watch of etcd ended');
      }
      await cancel(watcher);
      await pause(LIST_EVERY_MS / 4, signal);
    }
  }

  /** Resolves when the signal aborts; rejects when the watch cannot go on. */
  #ended(watcher: Watcher, signal: AbortSignal): Promise<void> {
    let telling: NodeJS.Timeout | undefined;
    let tellAtMs = Infinity;
    const tell = (): void => {
      clearTimeout(telling);
      tellAtMs = Infinity;
      this.#tell();
    };
    const hint = (): void => this.#hint.abort();
    const changed = ({ events }: IWatchResponse): void => {
      const changes = events.map(changeOf);
      for (const change of changes) this.#since.set(change.key, change);
      // Etcd answers again.
      if (this.#known === null) return hint();
      this.#apply(changes);
      const isAwaited = changes.some(({ key }) => this.#isAwaited(key));
      const atMs = isAwaited ? Math.max(nowMs(), this.#toldAtMs + SETTLE_MS) : nowMs() + PATIENCE_MS;
      if (atMs >= tellAtMs) return;
      clearTimeout(telling);
      tellAtMs = atMs;
      // The first one of some is told at once: a nominated master waits for it.
      if (atMs <= nowMs()) tell();
      else telling = setTimeout(tell, atMs - nowMs());
    };
    const ended = new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
      watcher.on('data', changed).on('connected', hint).on('disconnected', hint).on('error', reject);
    });
    return ended.finally(() => clearTimeout(telling));
  }
}

/** How long after a list of a cluster of so many nodes the next one comes at the latest. */
export function listAgainMs(nodes: number): number {
  return Math.min(LIST_AT_LEAST_EVERY_MS, Math.max(LIST_EVERY_MS, nodes * LIST_MS_PER_NODE));
}

function changeOf({ type, kv }: IWatchResponse['events'][number]): Change {
  const [key, value] = [kv.key.toString(), kv.value.toString()];
  const entry = type === 'Delete' ? null : { key, value, createRevision: kv.create_revision };
  return { key, entry, revision: BigInt(kv.mod_revision) };
}

/** etcd3 may throw here at once, or reject, or (of a stream that was just opened and is lost) never answer. */
async function cancel(watcher: Watcher | null): Promise<void> {
  try {
    if (watcher !== null) await settledWithin(watcher.cancel(), LIST_EVERY_MS);
  } catch {
    // It is not needed any more, either way.
  }
}
