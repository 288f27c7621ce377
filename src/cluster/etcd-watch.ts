import { isDeepStrictEqual } from 'node:util';
import type { IWatchResponse, Namespace, Watcher } from 'etcd3';
import { errorMessage } from '../lib/errors.ts';
import { Listeners } from '../lib/listeners.ts';
import type { Log } from '../lib/log.ts';
import { pause, settledWithin } from '../lib/wait.ts';
import type { CoordinatorView, Subscription } from './ports.ts';

/** A watch may lose events when its connection drops: everything is listed again this often, whatever it says. */
const LIST_EVERY_MS = 2_000;
/** Events that come so soon after a list are one change. */
const SETTLE_MS = 10;
/** Of events that nobody here waits for a list follows this much later. */
const PATIENCE_MS = 200;

/** Follows the keys of a cluster: a watch as a hint, a list as the truth. Works while somebody listens. */
export class EtcdWatch {
  readonly #keys: Namespace;
  readonly #list: () => Promise<CoordinatorView>;
  readonly #isAwaited: (key: string) => boolean;
  readonly #log: Log;
  readonly #listeners: Listeners<[CoordinatorView | null]>;
  #count = 0;
  /** undefined: nothing was told yet. */
  #last: CoordinatorView | null | undefined;
  #stop = new AbortController();
  #hint = new AbortController();

  /** @param isAwaited whether somebody here waits for a change of the key, which is given after the prefix of all keys */
  constructor(keys: Namespace, list: () => Promise<CoordinatorView>, isAwaited: (key: string) => boolean, log: Log) {
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
  }

  #start(): void {
    const stop = (this.#stop = new AbortController());
    void this.#follow(stop.signal);
    void this.#watch(stop.signal);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const hint = (this.#hint = new AbortController());
      const view = await this.#list().catch((error: unknown) => {
        this.#log.debug({ why: errorMessage(error) }, 'etcd could not be listed');
        return null;
      });
      if (isOver(signal)) return;
      if (this.#last === undefined || !isDeepStrictEqual(view, this.#last)) {
        this.#last = view;
        this.#listeners.tell(view);
      }
      // The first event of some is followed at once: a nominated master waits for it.
      await pause(SETTLE_MS, signal);
      await pause(LIST_EVERY_MS, AbortSignal.any([signal, hint.signal]));
    }
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
    let later: NodeJS.Timeout | undefined;
    const hint = (): void => {
      clearTimeout(later);
      later = undefined;
      this.#hint.abort();
    };
    const changed = ({ events }: IWatchResponse): void => {
      if (events.some(({ kv }) => this.#isAwaited(kv.key.toString()))) hint();
      else later ??= setTimeout(hint, PATIENCE_MS);
    };
    const ended = new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
      watcher.on('data', changed).on('connected', hint).on('disconnected', hint).on('error', reject);
    });
    return ended.finally(() => clearTimeout(later));
  }
}

/** etcd3 may throw here at once, or reject, or (of a stream that was just opened and is lost) never answer. */
async function cancel(watcher: Watcher | null): Promise<void> {
  try {
    if (watcher !== null) await settledWithin(watcher.cancel(), LIST_EVERY_MS);
  } catch {
    // It is not needed any more, either way.
  }
}

/** A function, because the compiler believes that a signal that was not aborted before an await is not after it. */
function isOver(signal: AbortSignal): boolean {
  return signal.aborted;
}
