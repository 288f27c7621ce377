import { access, constants, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Writable } from 'node:stream';
import { CodedError, systemReason } from '../lib/errors.ts';

/**
 * Writes text and waits until the stream has taken all of it.
 *
 * @param stream its error events must be heard by someone (`ignoreErrors`): they come on top of the failed write
 * @param what names the stream in the error, e.g. `standard output`
 * @throws CodedError `OUTPUT` when it cannot be written, e.g. a closed pipe or a full disk
 */
export async function writeText(stream: Writable, what: string, text: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  stream.write(text, (error) => (error ? reject(error) : resolve(undefined)));
  try {
    await promise;
  } catch (error) {
    throw outputError(`to ${what}`, error);
  }
}

/**
 * Writes a report beside its place and moves it there: what cannot be written leaves the older report whole. What is no
 * plain file (a device, a pipe), or stands in a folder that takes no other one, is written to as it is.
 *
 * @throws CodedError `OUTPUT` when the file cannot be written
 */
export async function writeReportFile(path: string, text: string): Promise<void> {
  try {
    const place = await realpath(path).catch(() => path);
    const found = await stat(place).catch(() => null);
    if (found?.isFile() === false || !(await isWritable(dirname(place)))) {
      await writeFile(place, text);
      return;
    }
    const beside = `${place}.${process.pid}.tmp`;
    try {
      await writeFile(beside, text, { mode: found?.mode ?? 0o666 });
      await rename(beside, place);
    } catch (error) {
      await rm(beside, { force: true });
      throw error;
    }
  } catch (error) {
    throw outputError(`the report to ${path}`, error);
  }
}

async function isWritable(folder: string): Promise<boolean> {
  return access(folder, constants.W_OK).then(
    () => true,
    () => false,
  );
}

/** For a stream whose text may get lost: a reader that has gone must not end the program. */
export function ignoreErrors(stream: Writable): void {
  stream.on('error', () => undefined);
}

function outputError(what: string, error: unknown): CodedError {
  return new CodedError('OUTPUT', `cannot write ${what}: ${systemReason(error)}`, { cause: error });
}
