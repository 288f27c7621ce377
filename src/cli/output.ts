import { writeFile } from 'node:fs/promises';
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
    throw outputError(what, error);
  }
}

/** @throws CodedError `OUTPUT` when the file cannot be written */
export async function writeReportFile(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text);
  } catch (error) {
    throw outputError(path, error);
  }
}

/** For a stream whose text may get lost: a reader that has gone must not end the program. */
export function ignoreErrors(stream: Writable): void {
  stream.on('error', () => undefined);
}

function outputError(what: string, error: unknown): CodedError {
  return new CodedError('OUTPUT', `cannot write the report to ${what}: ${systemReason(error)}`, { cause: error });
}
