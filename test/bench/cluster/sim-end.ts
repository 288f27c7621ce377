/** Tells the simulated workers that the window begins, and then that it ends. */
export const WINDOW = 'SIGUSR2';

/** What they say in the end. */
export interface SimEnd {
  welcome: number;
  /** Streams that ended before the end. */
  lost: number;
  samples: { sent: number; acked: number; bytes: number };
  /** From the send of a sample to its acknowledgement, of those sent in the window; null: there was none. */
  ackMs: { p50: number; p90: number; p99: number; max: number } | null;
  /** Of all samples. */
  longestAckMs: number;
}
