import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Log } from '../lib/log.ts';
import { cannotUse, FolderLock } from '../store/folder-lock.ts';
import { Spill } from '../stress/spill.ts';
import type { BufferConfig } from './config.ts';

/**
 * Opens the folder in which the results of a node of a cluster wait, `spill/CLUSTER/NODE` in its data folder. It belongs to
 * this process until it ends: what another one still writes must not be taken for left behind.
 *
 * @throws CodedError FAILED_PRECONDITION when another process has it, INVALID_INPUT when it cannot be used
 */
export async function openSpill(
  { folder, maxBytes }: BufferConfig,
  { cluster, nodeId, log }: { cluster: string; nodeId: string; log: Log },
): Promise<Spill> {
  const own = path.join(folder, 'spill', cluster, nodeId);
  try {
    mkdirSync(own, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw cannotUse(own, error);
  }
  const lock = FolderLock.take(own);
  try {
    return await Spill.open({ folder: own, maxBytes, log, onClosed: () => lock.release() });
  } catch (error) {
    lock.release();
    throw error;
  }
}
