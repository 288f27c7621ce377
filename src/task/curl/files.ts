import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { invalid, systemReason } from '../../lib/errors.ts';
import { show } from '../../lib/show.ts';
import { LIMITS } from '../defaults.ts';
import { readable, type ByteText } from './bytes.ts';

/** Reads the files that a command names; together at most 64 MiB, a body's limit. */
export class CommandFiles {
  readonly #baseDir: string | null;
  #leftBytes: number = LIMITS.bodyBytes;

  /** @param baseDir where relative paths begin; null: every file is refused */
  constructor(baseDir: string | null) {
    this.#baseDir = baseDir;
  }

  /** The absolute path. @throws CodedError INVALID_INPUT */
  resolve(file: ByteText): string {
    const name = readable(file);
    if (name === '') throw invalid('expected the path of a file, found nothing');
    if (this.#baseDir === null) {
      throw invalid(`expected no files, found ${show(name)}: they are not here; put what is in it into the command`);
    }
    return path.resolve(this.#baseDir, name);
  }

  /** @throws CodedError INVALID_INPUT when it cannot be read, is no regular file, or is too large */
  read(file: ByteText): Buffer {
    if (file === '-') throw invalid('expected the path of a file, found "-": the standard input is not read');
    const shown = show(readable(file));
    // A slash at the end, which asks for a folder, would be lost.
    const absolute = this.resolve(file) + (file.endsWith('/') ? '/' : '');
    let handle: number | undefined;
    try {
      // Not to wait for a writer when it is a pipe.
      handle = openSync(absolute, constants.O_RDONLY | constants.O_NONBLOCK);
      const stat = fstatSync(handle);
      if (!stat.isFile()) throw invalid(`cannot read ${shown}: it is not a regular file`);
      if (stat.size > this.#leftBytes) {
        throw invalid(`cannot read ${shown}: expected at most ${LIMITS.bodyBytes} bytes in all files together`);
      }
      this.#leftBytes -= stat.size;
      return readFileSync(handle);
    } catch (error) {
      if (error instanceof Error && 'syscall' in error) throw invalid(`cannot read ${shown}: ${systemReason(error)}`);
      throw error;
    } finally {
      if (handle !== undefined) closeSync(handle);
    }
  }
}
