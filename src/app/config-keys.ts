import * as z from 'zod';
import { ROLES } from '../cluster/ports.ts';
import { DEFAULT_TIMINGS, TIMING_PROFILES, timingName, type Timings } from '../cluster/timings.ts';
import { formatDuration } from '../lib/duration.ts';
import { invalid } from '../lib/errors.ts';
import { LOG_LEVELS } from '../lib/log.ts';
import { maskUrl } from '../lib/mask.ts';
import { show } from '../lib/show.ts';
import { parseMysqlUrl } from '../store/mysql-url.ts';
import { parseSize } from '../lib/size.ts';
import { count, duration, filePath, object, read } from '../task/fields.ts';

/** Where nodes listen, and clients dial, unless told otherwise. */
export const DEFAULT_PORT = 7420;

const NAME = /^[A-Za-z0-9][\w.-]{0,62}$/;
const NAME_WORDS = 'letters, digits, ".", "_" and "-", at most 63';
const MAX_CAPACITY = 1e9;
/** What the spill file may have: with less it cannot hold a batch, with more its index alone would fill the memory. */
const MIN_BUFFER_BYTES = 4e6;
const MAX_BUFFER_BYTES = 2e9;
const MAX_QUORUM = 100;

const name = read(z.string(), (text) => {
  if (!NAME.test(text)) throw invalid(`expected ${NAME_WORDS}, found ${show(text)}`);
  return text;
});

export interface HostPort {
  host: string;
  port: number;
}

function hostPort(minPort: number) {
  return read(z.string(), (text): HostPort => {
    const [, bracketed, plain, port = ''] = /^(?:\[([^\]]+)\]|([^:[\]/\s]+)):(\d{1,5})$/.exec(text) ?? [];
    const host = bracketed ?? plain;
    if (host === undefined || Number(port) < minPort || Number(port) > 65_535) {
      throw invalid(
        `expected HOST:PORT like "127.0.0.1:${DEFAULT_PORT}" or "[::1]:${DEFAULT_PORT}", found ${show(text)}`,
      );
    }
    return { host, port: Number(port) };
  });
}

/** `host:port`, in brackets when the host is an IPv6 address. */
export function formatHostPort({ host, port }: HostPort): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

const etcdHost = read(z.string(), (text) => {
  const [, scheme, user, host = '', port = '2379'] =
    /^(https?):\/\/([^/@]*@)?(\[[^\]]+\]|[^:[\]/\s]+)(?::(\d{1,5}))?\/?$/.exec(text) ?? [];
  if (user !== undefined) throw invalid('expected a URL without a user: there are etcdUser and etcdPassword');
  if (scheme === undefined) throw invalid(`expected a URL like "http://127.0.0.1:2379", found ${show(maskUrl(text))}`);
  return { host: { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) }, isSecure: scheme === 'https' };
});

/** Not quoted in any message. */
const secret = z.string({ error: 'expected text; a number needs quotes' }).min(1, { error: 'expected text, found ""' });

const mysqlUrl = read(secret, (text) => {
  parseMysqlUrl(text);
  return text;
});

const labels = read(z.record(z.string(), z.string()), (map) => {
  const wrong = Object.entries(map).find(([key, value]) => !NAME.test(key) || !NAME.test(value));
  if (wrong !== undefined) throw invalid(`expected keys and values of ${NAME_WORDS}, found ${show(wrong.join('='))}`);
  return map;
});

const bufferSize = read(z.union([z.string(), z.int()]), (size) => {
  const bytes = parseSize(String(size));
  if (bytes >= MIN_BUFFER_BYTES && bytes <= MAX_BUFFER_BYTES) return bytes;
  throw invalid(`expected a size from 4MB to 2GB, found ${show(size)}`);
});

type TimingName = keyof Timings extends infer K ? (K extends `${infer N}Ms` ? N : never) : never;
export const TIMING_NAMES = Object.keys(DEFAULT_TIMINGS).map(timingName) as TimingName[];

/** `{leaseTtl: '5s'}` becomes `{leaseTtlMs: 5000}`. */
const timings = read(object(Object.fromEntries(TIMING_NAMES.map((key) => [key, duration.optional()]))), (map) => {
  const given = Object.entries(map).filter((entry): entry is [string, number] => entry[1] !== undefined);
  return Object.fromEntries(given.map(([key, ms]) => [`${key}Ms`, ms]));
});

type TimingProfile = keyof typeof TIMING_PROFILES;
const TIMING_PROFILE_NAMES = Object.keys(TIMING_PROFILES) as [TimingProfile, ...TimingProfile[]];

const roles = read(z.array(z.enum(ROLES)).min(1), (list) => [...new Set(list)]);

/** What a config file may say; every key also has a variable and a flag, see CONFIG_KEYS. */
export const configInput = object({
  nodeId: name.optional(),
  clusterName: name.optional(),
  roles: roles.optional(),
  listen: hostPort(0).optional(),
  advertise: hostPort(1).optional(),
  allowUnauthenticated: z.boolean().optional(),
  labels: labels.optional(),
  priority: count(0, 1000).optional(),
  capacity: count(1, MAX_CAPACITY).optional(),
  quorum: count(1, MAX_QUORUM).optional(),
  etcdHosts: z.array(etcdHost).min(1).max(16).optional(),
  etcdUser: z.string().min(1).optional(),
  etcdPassword: secret.optional(),
  etcdCa: filePath.optional(),
  etcdCert: filePath.optional(),
  etcdKey: filePath.optional(),
  mysqlUrl: mysqlUrl.optional(),
  dataFolder: filePath.optional(),
  bufferMax: bufferSize.optional(),
  onBufferFull: z.enum(['pause', 'drop']).optional(),
  standalone: z.boolean().optional(),
  drivers: z.array(filePath).max(32).optional(),
  logLevel: z.enum(LOG_LEVELS).optional(),
  logFormat: z.enum(['auto', 'json', 'text']).optional(),
  timingProfile: z.enum(TIMING_PROFILE_NAMES).optional(),
  timings: timings.optional(),
});
export type ConfigInput = z.output<typeof configInput>;
export type ConfigName = keyof ConfigInput;

export interface ConfigKey {
  /** How texts (a variable, a flag) are read: lists are divided by commas, maps are `a=1,b=2`. */
  kind: 'text' | 'number' | 'switch' | 'list' | 'map';
  /** Of the flag, when it is not the key's; flags of lists and maps can be repeated. */
  flag?: string;
  /** What stands for the value in help. */
  value: string;
  help: string;
  /** In words; empty: none. */
  byDefault: string;
  /** `node`: `gostress server` does not know it. */
  only?: 'node';
}

export const CONFIG_KEYS: Readonly<Record<ConfigName, ConfigKey>> = {
  nodeId: {
    kind: 'text',
    value: '<id>',
    help: 'unique in the cluster, the same after each restart',
    byDefault: 'host name and port',
  },
  clusterName: {
    kind: 'text',
    value: '<name>',
    help: 'nodes of one name, etcd and database are one cluster',
    byDefault: 'gostress',
    only: 'node',
  },
  roles: {
    kind: 'list',
    flag: 'role',
    value: '<role>',
    help: 'worker (generates load), candidate (may become master), sentinel (has a dead master replaced)',
    byDefault: 'worker, candidate',
    only: 'node',
  },
  listen: {
    kind: 'text',
    value: '<host:port>',
    help: 'address of the port; port 0 is a free one',
    byDefault: `127.0.0.1:${DEFAULT_PORT}`,
  },
  advertise: {
    kind: 'text',
    value: '<host:port>',
    help: 'address that other nodes dial',
    byDefault: 'as listen; needed with 0.0.0.0 or [::]',
    only: 'node',
  },
  allowUnauthenticated: {
    kind: 'switch',
    value: '',
    help: 'needed to listen on another address than loopback: whoever reaches the port may do everything',
    byDefault: 'false',
  },
  labels: {
    kind: 'map',
    flag: 'label',
    value: '<key=value>',
    help: 'words that tasks choose their workers by',
    byDefault: 'none',
  },
  priority: {
    kind: 'number',
    value: '<n>',
    help: 'of candidates the highest becomes master, 0 never does',
    byDefault: '100',
    only: 'node',
  },
  capacity: {
    kind: 'number',
    value: '<n>',
    help: 'hits a second that the node may be given',
    byDefault: 'no limit',
  },
  quorum: {
    kind: 'number',
    value: '<n>',
    help: 'sentinels that must agree that a node is down, the same on all nodes; more than half of those alive must in any case',
    byDefault: '1',
    only: 'node',
  },
  etcdHosts: {
    kind: 'list',
    flag: 'etcd-host',
    value: '<url>',
    help: 'etcd members',
    byDefault: 'none; needed',
    only: 'node',
  },
  etcdUser: { kind: 'text', value: '<user>', help: 'user in etcd', byDefault: 'none', only: 'node' },
  etcdPassword: { kind: 'text', value: '<password>', help: 'its password', byDefault: 'none', only: 'node' },
  etcdCa: {
    kind: 'text',
    value: '<file>',
    help: 'certificates that etcd is trusted by (PEM)',
    byDefault: 'none; https: needs it',
    only: 'node',
  },
  etcdCert: {
    kind: 'text',
    value: '<file>',
    help: 'client certificate for etcd (PEM)',
    byDefault: 'none',
    only: 'node',
  },
  etcdKey: { kind: 'text', value: '<file>', help: 'its private key (PEM)', byDefault: 'none', only: 'node' },
  mysqlUrl: {
    kind: 'text',
    value: '<url>',
    help: 'mysql://user:password@host:3306/database, one database for each cluster',
    byDefault: 'none; candidates need it',
    only: 'node',
  },
  dataFolder: {
    kind: 'text',
    value: '<folder>',
    help: 'of a worker: results that wait for the database; of a standalone server: all its tasks and results',
    byDefault: '$XDG_DATA_HOME/gostress or ~/.local/share/gostress',
  },
  bufferMax: {
    kind: 'text',
    value: '<size>',
    help: 'of a worker: how much of its results may wait on disk',
    byDefault: '256MB',
  },
  onBufferFull: {
    kind: 'text',
    value: '<what>',
    help: 'of a worker: pause (the load), or drop (latencies; hits are still counted)',
    byDefault: 'pause',
  },
  standalone: {
    kind: 'switch',
    value: '',
    help: 'no etcd, no MySQL: a cluster of this one process (gostress server)',
    byDefault: 'false',
    only: 'node',
  },
  drivers: {
    kind: 'list',
    flag: 'driver',
    value: '<file>',
    help: 'modules that register drivers of your own',
    byDefault: 'none',
  },
  logLevel: { kind: 'text', value: '<level>', help: LOG_LEVELS.join(', '), byDefault: 'info' },
  logFormat: { kind: 'text', value: '<format>', help: 'json, text, or auto: text on a terminal', byDefault: 'auto' },
  timingProfile: {
    kind: 'text',
    value: '<profile>',
    help: `timings all at once: ${TIMING_PROFILE_NAMES.join(', ')} (a dead master is replaced after half the time)`,
    byDefault: 'default',
  },
  timings: {
    kind: 'map',
    flag: 'timing',
    value: '<name=duration>',
    help: 'timings of the cluster, the same on all its nodes; they are checked against each other',
    byDefault: `leaseTtl=${formatDuration(DEFAULT_TIMINGS.leaseTtlMs)} and others`,
  },
};
export const CONFIG_NAMES = Object.keys(CONFIG_KEYS) as ConfigName[];

/** `etcdHosts` → `GOSTRESS_ETCD_HOSTS` */
export function variableOf(key: ConfigName): string {
  return `GOSTRESS_${dashed(key).replaceAll('-', '_').toUpperCase()}`;
}

/** `etcdUser` → `--etcd-user` */
export function flagOf(key: ConfigName): string {
  return `--${CONFIG_KEYS[key].flag ?? dashed(key)}`;
}

function dashed(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
