import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CodedError, systemReason } from '../lib/errors.ts';

/** Not an entry of the store: what holds the folder is the kernel's lock on this file. */
const LOCK_FILE = 'lock.sqlite';
const PID_FILE = 'server.pid';

/**
 * The right to a data folder: an exclusive transaction on a database of its own, so a lock that the kernel frees when the
 * process ends, however that is. Nothing stale can stay behind.
 */
export class FolderLock {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** @throws CodedError FAILED_PRECONDITION that names the process which holds the folder */
  static take(folder: string): FolderLock {
    const database = openLock(folder);
    try {
      database.exec('begin exclusive');
      writeFileSync(path.join(folder, PID_FILE), `${process.pid}\n`);
      return new FolderLock(database);
    } catch (error) {
      database.close();
      if (!isBusy(error)) throw cannotUse(folder, error);
      throw new CodedError(
        'FAILED_PRECONDITION',
        `expected the data folder ${folder} to be free, found it in use by ${holderOf(folder)}: stop that one, or give another folder`,
        { cause: error },
      );
    }
  }

  release(): void {
    if (this.#database.isOpen) this.#database.close();
  }
}

function openLock(folder: string): DatabaseSync {
  try {
    return new DatabaseSync(path.join(folder, LOCK_FILE), { timeout: 0 });
  } catch (error) {
    throw cannotUse(folder, error);
  }
}

export function cannotUse(folder: string, error: unknown): CodedError {
  return new CodedError('INVALID_INPUT', `cannot use the data folder ${folder}: ${systemReason(error)}`, {
    cause: error,
  });
}

/** SQLITE_BUSY, with whatever extended code. */
export function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === 5;
}

function holderOf(folder: string): string {
  try {
    const pid = readFileSync(path.join(folder, PID_FILE), 'utf8').trim();
    return /^\d+$/.test(pid) ? `process ${pid}` : 'another process';
  } catch {
    return 'another process';
  }
}
