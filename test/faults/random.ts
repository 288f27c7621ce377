import { createHash } from 'node:crypto';

/**
 * Numbers from 0 to 1 that a seed decides; the seed is printed. `FAULTS_SEED` repeats a run.
 *
 * @param what mixed into the seed, so that cases differ
 */
export function randomFrom(what: string): () => number {
  const seed = process.env.FAULTS_SEED ?? String(Date.now());
  console.log(`FAULTS_SEED=${seed} (${what})`);
  let count = 0;
  return () => createHash('sha256').update(`${seed} ${what} ${count++}`).digest().readUInt32LE() / 2 ** 32;
}
