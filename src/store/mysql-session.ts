import { createConnection, type Connection, type QueryError, type TypeCastField } from 'mysql2';
import { connect, type Socket } from 'node:net';
import {
  Kysely,
  MysqlIntrospector,
  MysqlQueryCompiler,
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  type QueryResult,
} from 'kysely';
import { MysqlMigrationAdapter } from './migrate.ts';
import { packetTooLarge } from './mysql-errors.ts';
import type { MysqlAddress } from './mysql-url.ts';
import type { Db, Tables } from './tables.ts';

/** Bytes of this size go as they are, by a prepared statement; in a text they would take twice the room. */
const LARGE_VALUE_BYTES = 1024 * 1024;

/** How long a statement waits for a table's definition, s. The server's default is a day or a year. */
const METADATA_WAIT_S = 5;

const SESSION_SETTINGS = [
  'set session transaction isolation level read committed',
  // With NO_BACKSLASH_ESCAPES the quoting of values would not hold.
  `set session sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', autocommit = 1,
   lock_wait_timeout = ${METADATA_WAIT_S}`,
];

/** One connection, set up, with its own Kysely. It is used by one call at a time. */
export class MysqlSession {
  readonly db: Db;
  readonly #link: MysqlLink;

  private constructor(link: MysqlLink) {
    this.#link = link;
    this.db = new Kysely<Tables>({
      dialect: {
        createAdapter: () => new MysqlMigrationAdapter(),
        createDriver: () => new OneConnectionDriver(link),
        createIntrospector: (db) => new MysqlIntrospector(db),
        createQueryCompiler: () => new MysqlQueryCompiler(),
      },
    });
  }

  /**
   * Rejects when the server refuses, and soon after the signal aborts.
   *
   * @param begin the first thing done on it
   */
  static async open(
    address: MysqlAddress,
    begin: (db: Db) => Promise<void>,
    signal: AbortSignal,
  ): Promise<MysqlSession> {
    const link = new MysqlLink(address);
    const cut = () => link.destroy();
    signal.addEventListener('abort', cut);
    try {
      signal.throwIfAborted();
      await link.ready();
      for (const statement of SESSION_SETTINGS) await link.query(statement);
      const { rows } = await link.query('select @@max_allowed_packet as bytes');
      link.maxPacketBytes = Number((rows[0] as { bytes: bigint | number }).bytes);
      const session = new MysqlSession(link);
      await begin(session.db);
      return session;
    } catch (error) {
      link.destroy();
      throw error;
    } finally {
      signal.removeEventListener('abort', cut);
    }
  }

  get isDead(): boolean {
    return this.#link.isDead;
  }

  /** At once, also in the middle of a statement: the server may still carry that out. */
  destroy(): void {
    this.#link.destroy();
  }

  /** Says goodbye. */
  end(): void {
    this.#link.end();
  }
}

/** mysql2's connection over a socket of our own, which can be cut; mysql2's own `destroy` waits for what is written. */
class MysqlLink implements DatabaseConnection {
  maxPacketBytes = Infinity;
  isDead = false;
  readonly #socket: Socket;
  readonly #connection: Connection;

  constructor(address: MysqlAddress) {
    const { socketPath, host, port, user, password, database } = address;
    this.#socket = socketPath === null ? connect({ host, port }) : connect({ path: socketPath });
    this.#socket.setKeepAlive(true, 10_000).setNoDelay(true);
    this.#connection = createConnection({
      stream: this.#socket,
      user,
      password,
      database,
      charset: 'utf8mb4_bin',
      jsonStrings: true,
      // The caller has a deadline for it all.
      connectTimeout: 0,
      typeCast: (field: TypeCastField, next: () => unknown) => (field.type === 'LONGLONG' ? bigintOf(field) : next()),
    });
    const die = () => void (this.isDead = true);
    this.#connection.on('error', die);
    this.#socket.on('error', die).on('close', die);
  }

  ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#connection.connect((error) => (error === null ? resolve() : reject(error)));
    });
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    return (await this.query(sql, parameters)) as QueryResult<R>;
  }

  query(sql: string, values: readonly unknown[] = []): Promise<QueryResult<unknown>> {
    const isLarge = values.some((value) => value instanceof Uint8Array && value.length >= LARGE_VALUE_BYTES);
    const bytes = isLarge || sql.length + values.length > 1000 ? statementBytes(sql, values, isLarge) : 0;
    if (bytes > this.maxPacketBytes) return Promise.reject(packetTooLarge(bytes, this.maxPacketBytes));
    return new Promise((resolve, reject) => {
      const done = (error: QueryError | null, result: unknown) => {
        if (error === null) {
          resolve(resultOf(result));
          return;
        }
        // The statement with all its values, secrets too.
        Reflect.deleteProperty(error, 'sql');
        reject(error);
      };
      const list = values.map((value) => (value instanceof Uint8Array ? bufferOf(value) : value));
      if (isLarge) this.#connection.execute(sql, list as Parameters<Connection['execute']>[1], done);
      else this.#connection.query(sql, list, done);
    });
  }

  // eslint-disable-next-line require-yield, @typescript-eslint/require-await
  async *streamQuery(): AsyncIterableIterator<never> {
    throw new Error('MySQL: expected no streaming');
  }

  destroy(): void {
    this.isDead = true;
    this.#socket.destroy();
  }

  end(): void {
    this.isDead = true;
    this.#connection.end(() => this.#socket.destroy());
  }
}

function bigintOf(field: TypeCastField): bigint | null {
  const text = field.string();
  return text === null ? null : BigInt(text);
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function resultOf(result: unknown): QueryResult<unknown> {
  if (Array.isArray(result)) return { rows: result };
  // The id is a text beyond 2^53.
  const { affectedRows, insertId } = result as { affectedRows: number; insertId: number | string };
  return { rows: [], numAffectedRows: BigInt(affectedRows), insertId: BigInt(insertId) };
}

/** At least so many bytes go to the server. */
function statementBytes(sql: string, values: readonly unknown[], isPrepared: boolean): number {
  const valueBytes = values.map((value) => {
    if (value instanceof Uint8Array) return value.length * (isPrepared ? 1 : 2) + 9;
    return typeof value === 'string' ? Buffer.byteLength(value) + 2 : 1;
  });
  return valueBytes.reduce((sum, bytes) => sum + bytes, sql.length + 1024);
}

class OneConnectionDriver implements Driver {
  readonly #link: MysqlLink;

  constructor(link: MysqlLink) {
    this.#link = link;
  }

  init(): Promise<void> {
    return Promise.resolve();
  }

  acquireConnection(): Promise<DatabaseConnection> {
    return Promise.resolve(this.#link);
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('start transaction'));
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'));
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('rollback'));
  }

  releaseConnection(): Promise<void> {
    return Promise.resolve();
  }

  destroy(): Promise<void> {
    return Promise.resolve();
  }
}
