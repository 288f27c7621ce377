import { nowMs } from '../lib/clock.ts';
import { CodedError, errorMessage } from '../lib/errors.ts';
import { Backoff, pause } from '../lib/wait.ts';
import type { WatchRunMessage } from './messages.ts';

export interface ResumeOptions {
  signal: AbortSignal;
  /** A watch that nobody goes on with for this long is given up. */
  giveUpAfterMs: number;
  /** The watch is lost, and is begun again from the next second. */
  onLost?: (why: string) => void;
}

/**
 * A watch of a run that goes on with the next second where its source breaks off, until the final message or the signal. What fails
 * before the first message is thrown at once.
 *
 * @param source the messages from a second on; throws CodedError UNAVAILABLE when it breaks off
 */
export async function* resumeWatch(
  source: (fromSecond: number) => AsyncIterable<WatchRunMessage>,
  fromSecond: number,
  { signal, giveUpAfterMs, onLost }: ResumeOptions,
): AsyncGenerator<WatchRunMessage> {
  let next = fromSecond;
  let hasBegun = false;
  let lostAtMs: number | null = null;
  const backoff = new Backoff(100, 1_000);
  const isAborted = (): boolean => signal.aborted;
  while (!isAborted()) {
    try {
      for await (const message of source(next)) {
        hasBegun = true;
        lostAtMs = null;
        backoff.reset();
        if (message.second !== null) next = Number(message.second.second) + 1;
        yield message;
        if (message.final) return;
      }
      if (isAborted()) return;
      throw new CodedError('UNAVAILABLE', 'the watch ended before the run did');
    } catch (error) {
      if (!hasBegun || !(error instanceof CodedError && error.code === 'UNAVAILABLE')) throw error;
      if (lostAtMs === null) onLost?.(errorMessage(error));
      lostAtMs ??= nowMs();
      if (nowMs() - lostAtMs > giveUpAfterMs) throw error;
    }
    await pause(backoff.takeMs(), signal);
  }
}
