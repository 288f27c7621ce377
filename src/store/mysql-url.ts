import { invalid } from '../lib/errors.ts';
import { percentDecode } from '../lib/percent.ts';

export interface MysqlAddress {
  /** Instead of host and port; null: none. */
  socketPath: string | null;
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
}

const EXPECTED = 'expected a URL like "mysql://user:password@host:3306/database"';

/**
 * Reads `mysql://user:password@host:port/database` (or `mariadb://`), with `?socketPath=/run/mysqld/mysqld.sock` for a
 * Unix socket; host and port are not used then.
 *
 * @throws CodedError INVALID_INPUT; the message never shows the URL, which holds a password
 */
export function parseMysqlUrl(text: string): MysqlAddress {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null) throw invalid(`${EXPECTED}, found something else`);
  if (!['mysql:', 'mariadb:'].includes(url.protocol)) throw invalid(`${EXPECTED}, found one of ${url.protocol}//`);
  const database = percentDecode(url.pathname.slice(1));
  if (!/^[^/\\.\0]{1,64}$/.test(database)) throw invalid(`${EXPECTED}, found one without the name of a database`);
  if (url.username === '') throw invalid(`${EXPECTED}, found one without a user`);
  const unknown = [...url.searchParams.keys()].find((key) => key !== 'socketPath');
  if (unknown !== undefined) throw invalid(`${EXPECTED}, or "…?socketPath=/path"; found the parameter "${unknown}"`);
  return {
    socketPath: url.searchParams.get('socketPath'),
    host: url.hostname.replace(/^\[(.*)\]$/, '$1') || '127.0.0.1',
    port: Number(url.port || 3306),
    user: percentDecode(url.username),
    password: percentDecode(url.password),
    database,
  };
}
