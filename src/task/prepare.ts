import { X509Certificate } from 'node:crypto';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { createSecureContext } from 'node:tls';
import { CodedError, errorMessage, invalid, systemReason } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import { LIMITS } from './defaults.ts';
import type { BodySpec, PreparedTask, TaskSpec, TlsSpec } from './spec.ts';

/**
 * Reads every file that the task names: the body (at most 64 MiB) and the PEM files (1 MiB each), which must be ones
 * that TLS can use.
 *
 * @param baseDir relative paths begin here: the task file's folder, or the working directory
 * @throws CodedError INVALID_INPUT with all problems at once: `request.body.file: cannot read "x": no such file or folder`
 */
export async function prepareTask(spec: TaskSpec, baseDir: string): Promise<PreparedTask> {
  const problems: string[] = [];
  const read = reader(baseDir, problems);
  const { caFile, certFile, keyFile } = spec.tls;
  const body = await readBody(spec.request.body, read);
  const ca = await read('tls.ca', caFile, LIMITS.pemBytes);
  const cert = await read('tls.cert', certFile, LIMITS.pemBytes);
  const key = await read('tls.key', keyFile, LIMITS.pemBytes);
  const tls = { ca: textOf(ca), cert: textOf(cert), key: textOf(key) };
  problems.push(...tlsProblems(spec.tls, tls));
  if (body !== null && body.length > LIMITS.bodyBytes) {
    problems.push(`request.body: expected at most ${LIMITS.bodyBytes} bytes, found ${body.length}`);
  }
  if (problems.length > 0) throw new CodedError('INVALID_INPUT', problems);
  return { spec, body, tls };
}

/**
 * Of an input that is wrong elsewhere: which of the files that it names cannot be read.
 *
 * @returns problems as those of `prepareTask`
 */
export async function unreadableFiles(input: unknown, baseDir: string): Promise<string[]> {
  const problems: string[] = [];
  const read = reader(baseDir, problems);
  for (const [key, maxBytes] of Object.entries(FILE_KEYS)) {
    let value = input;
    for (const name of key.split('.')) value = (value as Record<string, unknown> | null | undefined)?.[name];
    if (typeof value === 'string' && value !== '') await read(key, value, maxBytes);
  }
  return problems;
}

/** The keys of a task file that name files, and the most bytes of each. */
const FILE_KEYS = {
  'request.body.file': LIMITS.bodyBytes,
  'tls.ca': LIMITS.pemBytes,
  'tls.cert': LIMITS.pemBytes,
  'tls.key': LIMITS.pemBytes,
} as const;

type Read = (key: string, file: string | null, maxBytes: number) => Promise<Uint8Array | null>;

/** Reads a file that a key names; null, and a problem, when it cannot. */
function reader(baseDir: string, problems: string[]): Read {
  return async (key, file, maxBytes) => {
    if (file === null) return null;
    try {
      return await readUpTo(path.resolve(baseDir, file), maxBytes);
    } catch (error) {
      problems.push(`${key}: cannot read ${show(file)}: ${systemReason(error)}`);
      return null;
    }
  };
}

/**
 * The same for a task whose spec names no files.
 *
 * @param tls PEM texts
 * @throws CodedError INVALID_INPUT with all problems at once: `tls.key: expected a cert with it, found none`
 */
export function prepareInline(spec: TaskSpec, tls: PreparedTask['tls']): PreparedTask {
  const body = inlineBody(spec.request.body);
  const problems: string[] = [];
  if (body !== null && body.length > LIMITS.bodyBytes) {
    problems.push(`request.body: expected at most ${LIMITS.bodyBytes} bytes, found ${body.length}`);
  }
  for (const [name, pem] of Object.entries(tls)) {
    const bytes = pem === null ? 0 : Buffer.byteLength(pem);
    if (bytes > LIMITS.pemBytes)
      problems.push(`tls.${name}: expected at most ${LIMITS.pemBytes} bytes, found ${bytes}`);
  }
  if (tls.key !== null && tls.cert === null) problems.push('tls.key: expected a cert with the key, found none');
  if (tls.cert !== null && tls.key === null) problems.push('tls.cert: expected a key with the cert, found none');
  problems.push(...tlsProblems(spec.tls, tls));
  if (problems.length > 0) throw new CodedError('INVALID_INPUT', problems);
  return { spec, body, tls };
}

function inlineBody(body: BodySpec | null): Uint8Array | null {
  switch (body?.kind) {
    case 'text':
      return Buffer.from(body.text);
    case 'base64':
      return Buffer.from(body.base64, 'base64');
    case 'file':
      throw new RangeError(`prepare: expected a body that is no file, found ${show(body.path)}`);
    case undefined:
      return null;
  }
}

async function readBody(body: BodySpec | null, read: Read): Promise<Uint8Array | null> {
  return body?.kind === 'file' ? read('request.body.file', body.path, LIMITS.bodyBytes) : inlineBody(body);
}

/** Works for pipes and devices too, whose size is not known before. */
async function readUpTo(file: string, maxBytes: number): Promise<Uint8Array> {
  await using handle = await open(file);
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of handle.createReadStream({ end: maxBytes, autoClose: false }) as AsyncIterable<Uint8Array>) {
    chunks.push(chunk);
    length += chunk.length;
  }
  if (length > maxBytes) throw invalid(`it has more than ${maxBytes} bytes`);
  return Buffer.concat(chunks);
}

const CERTIFICATE = /-----BEGIN [A-Z ]*CERTIFICATE-----[^]*?-----END [A-Z ]*CERTIFICATE-----/g;

function textOf(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString();
}

function tlsProblems(files: TlsSpec, { ca, cert, key }: PreparedTask['tls']): string[] {
  const problems: string[] = [];
  const check = (place: string, expected: string, file: string | null, use: () => void): void => {
    try {
      use();
    } catch (error) {
      problems.push(
        `${place}: expected ${expected} (PEM), found ${file === null ? 'other text' : show(file)}: ${errorMessage(error)}`,
      );
    }
  };
  if (ca !== null) check('tls.ca', 'certificates', files.caFile, () => checkCertificates(ca));
  if (cert !== null && key !== null) {
    check('tls.cert', 'a certificate', files.certFile, () => createSecureContext({ cert }));
    check('tls.key', "the certificate's private key without a passphrase", files.keyFile, () =>
      createSecureContext({ cert, key }),
    );
  }
  return problems;
}

/** A secure context would pass over what is no certificate. @throws Error */
function checkCertificates(pem: string): void {
  for (const block of pem.match(CERTIFICATE) ?? [pem]) new X509Certificate(block);
}
