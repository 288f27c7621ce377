import { CodedError } from '../lib/errors.ts';
import { taskInputOf } from '../task/format.ts';
import { prepareTask } from '../task/prepare.ts';
import { parseTask } from '../task/schema.ts';
import type { PreparedTask } from '../task/spec.ts';
import type { Placement } from '../stress/ports.ts';
import { columnProblems, parseJson } from './json.ts';
import { parsePlacement } from './placement.ts';

/** The columns that the tables `task` and `run` have in common. */
export interface PreparedRow {
  spec: string;
  body: Uint8Array | null;
  tls_ca: string | null;
  tls_cert: string | null;
  tls_key: string | null;
  placement: string | null;
}
export const PREPARED_COLUMNS = ['spec', 'body', 'tls_ca', 'tls_cert', 'tls_key', 'placement'] as const;

export interface Prepared {
  task: PreparedTask;
  placement: Placement;
}

/** A body that the spec itself holds has no column of its own. */
export function preparedRow({ spec, body, tls }: PreparedTask, placement: Placement): PreparedRow {
  const isInSpec = spec.request.body !== null && spec.request.body.kind !== 'file';
  return {
    spec: JSON.stringify(taskInputOf(spec)),
    body: isInSpec ? null : body,
    tls_ca: tls.ca,
    tls_cert: tls.cert,
    tls_key: tls.key,
    placement: JSON.stringify(placement),
  };
}

/**
 * Reads what the API or a person has written. No file is read: what the spec names must be in the row.
 *
 * @throws CodedError INVALID_INPUT with every problem, each beginning with the column
 */
export async function readPrepared(row: PreparedRow): Promise<Prepared> {
  const problems: string[] = [];
  const attempt = async <T>(column: string, read: () => T | Promise<T>): Promise<T | null> => {
    try {
      return await read();
    } catch (error) {
      problems.push(...columnProblems(column, error));
      return null;
    }
  };
  const task = await attempt('spec', () => taskOf(row, problems));
  const placement = await attempt('placement', () => parsePlacement(row.placement));
  if (task === null || placement === null || problems.length > 0) throw new CodedError('INVALID_INPUT', problems);
  return { task, placement };
}

async function taskOf(row: PreparedRow, problems: string[]): Promise<PreparedTask> {
  const spec = parseTask(parseJson(row.spec));
  const { request, tls } = spec;
  const isFile = request.body?.kind === 'file';
  if (isFile && row.body === null)
    problems.push('body: expected the bytes of the file that the spec names, found NULL');
  const files = [
    ['tls_ca', tls.caFile, row.tls_ca],
    ['tls_cert', tls.certFile, row.tls_cert],
    ['tls_key', tls.keyFile, row.tls_key],
  ] as const;
  for (const [column, file, pem] of files) {
    if (file !== null && pem === null)
      problems.push(`${column}: expected the file that the spec names (PEM), found NULL`);
  }
  const { body } = await prepareTask(
    {
      ...spec,
      request: { ...request, body: isFile ? null : request.body },
      tls: { ...tls, caFile: null, certFile: null, keyFile: null },
    },
    '',
  );
  return { spec, body: body ?? row.body, tls: { ca: row.tls_ca, cert: row.tls_cert, key: row.tls_key } };
}
