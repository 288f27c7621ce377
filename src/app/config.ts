import { access, constants } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import type { Role } from '../cluster/ports.ts';
import {
  MIN_LEASE_TTL_MS,
  DEFAULT_TIMINGS,
  TIMING_PROFILES,
  timingProblems,
  type Timings,
} from '../cluster/timings.ts';
import { CodedError, systemReason } from '../lib/errors.ts';
import type { LogLevel } from '../lib/log.ts';
import { percentDecode } from '../lib/percent.ts';
import { show } from '../lib/show.ts';
import {
  CONFIG_NAMES,
  DEFAULT_PORT,
  formatHostPort,
  type ConfigInput,
  type ConfigName,
  type HostPort,
} from './config-keys.ts';
import { readConfigInput, type Given } from './config-read.ts';

const DEFAULT_BUFFER_BYTES = 256e6;

/** Of one node, complete. */
export interface NodeConfig {
  /** null: made of the host's name and the port, once that is known. */
  nodeId: string | null;
  clusterName: string;
  roles: readonly Role[];
  listen: HostPort;
  /** null: where it listens. */
  advertise: HostPort | null;
  labels: Readonly<Record<string, string>>;
  priority: number;
  capacity: number | null;
  quorum: number;
  /** null: standalone. */
  etcd: EtcdConfig | null;
  /** Holds a password. null: standalone, or no candidate. */
  mysqlUrl: string | null;
  /** null: not standalone. */
  dataFolder: string | null;
  /** Where a worker's results wait for a master; null: no worker. */
  buffer: BufferConfig | null;
  drivers: readonly string[];
  logLevel: LogLevel;
  logFormat: 'auto' | 'json' | 'text';
  timings: Timings;
}

export interface BufferConfig {
  /** Those of each node of each cluster lie in a folder of their own below it. */
  folder: string;
  /** On disk. */
  maxBytes: number;
  onFull: 'pause' | 'drop';
}

export interface EtcdConfig {
  /** `host:port` of each member. */
  hosts: readonly string[];
  user: string | null;
  password: string | null;
  /** Paths of PEM files; null: no TLS. */
  tls: { ca: string; cert: string | null; key: string | null } | null;
}

/** Where a config comes from; what is named later here wins over what is named before. */
export interface ConfigSources {
  /** Path of a YAML file; null: the one that GOSTRESS_CONFIG names, or none. */
  file: string | null;
  env: Readonly<Record<string, string | undefined>>;
  /** By key; texts, lists of texts for flags that repeat, true for switches. */
  flags: Readonly<Partial<Record<ConfigName, string | readonly string[] | boolean>>>;
  /** `server` is a standalone node; `migrate` needs the database alone. */
  purpose: 'node' | 'server' | 'migrate';
}

export interface ConfigRead {
  config: NodeConfig;
  /** What is odd and was passed over, one line each. */
  warnings: readonly string[];
}

/**
 * Reads the config of a node: defaults < file < `GOSTRESS_*` < flags. A key's value is taken whole from the last of them
 * that has it.
 *
 * @throws CodedError USAGE with every problem at once, each with its place: file, line and column, variable or flag
 */
export async function readConfig(sources: ConfigSources): Promise<ConfigRead> {
  const given = await readConfigInput(sources);
  const { input, problems } = given;
  problems.push(...rulesAcross(given, sources.purpose));
  for (const file of input.drivers ?? []) await checkReadable('drivers', file, given);
  const etcd = given.isStandalone ? null : await readEtcd(input, given);
  const timings = { ...DEFAULT_TIMINGS, ...TIMING_PROFILES[input.timingProfile ?? 'default'], ...input.timings };
  problems.push(
    ...timingProblems(timings, given.isStandalone ? 1 : MIN_LEASE_TTL_MS).map(({ name, message }) =>
      given.at('timings', message, name === null ? [] : [name]),
    ),
  );
  const roles = input.roles ?? ['worker', 'candidate'];
  const isWorker = roles.includes('worker') && sources.purpose !== 'migrate';
  const folder = given.isStandalone || isWorker ? folderOf(given, sources.env) : null;
  if (problems.length > 0) throw new CodedError('USAGE', [...new Set(problems)]);
  const config: NodeConfig = {
    nodeId: input.nodeId ?? null,
    clusterName: input.clusterName ?? 'gostress',
    roles,
    listen: input.listen ?? { host: '127.0.0.1', port: DEFAULT_PORT },
    advertise: input.advertise ?? null,
    labels: input.labels ?? {},
    priority: input.priority ?? 100,
    capacity: input.capacity ?? null,
    quorum: input.quorum ?? 1,
    etcd,
    mysqlUrl: given.isStandalone ? null : (input.mysqlUrl ?? null),
    dataFolder: given.isStandalone ? folder : null,
    buffer: isWorker ? bufferOf(input, folder!) : null,
    drivers: input.drivers ?? [],
    logLevel: input.logLevel ?? 'info',
    logFormat: input.logFormat ?? 'auto',
    timings,
  };
  const warnings = [...given.warnings, ...oddities(config)];
  return { config, warnings };
}

/** Every text that must not be in a log or an error. */
export function configSecrets({ etcd, mysqlUrl }: NodeConfig): string[] {
  const password = mysqlUrl === null ? '' : new URL(mysqlUrl).password;
  const all = [mysqlUrl ?? '', password, percentDecode(password), etcd?.password ?? ''];
  return [...new Set(all)].filter((secret) => secret !== '');
}

/** Whether only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** What no key alone can tell. */
function rulesAcross(given: Given, purpose: ConfigSources['purpose']): string[] {
  const { input, isStandalone, has, at, missing } = given;
  const problems: string[] = [];
  const { listen, allowUnauthenticated, roles = ['worker', 'candidate'] } = input;
  if (listen !== undefined && !isLoopback(listen.host) && allowUnauthenticated !== true) {
    const why = 'there is no access control yet, so whoever reaches the port may do everything';
    const how = 'expected an address of this machine only, like 127.0.0.1, or --allow-unauthenticated with it';
    problems.push(at('listen', `${how}; found ${show(listen.host)}: ${why}`));
  }
  if (purpose === 'migrate') {
    return has('mysqlUrl') ? problems : [...problems, missing('mysqlUrl', 'the URL of the database')];
  }
  if (isStandalone) {
    const foreign = CONFIG_NAMES.filter((key) => /^(etcd|mysql|advertise|roles)/.test(key) && has(key));
    return problems.concat(foreign.map((key) => at(key, 'not for a standalone server; a cluster is gostress node')));
  }
  if (!roles.includes('worker')) {
    const foreign = (['dataFolder', 'bufferMax', 'onBufferFull'] as const).filter(has);
    problems.push(...foreign.map((key) => at(key, 'only for a worker, or a standalone server')));
  }
  if (listen !== undefined && isWildcard(listen.host) && !has('advertise')) {
    problems.push(
      missing('advertise', `the HOST:PORT that others reach this node by, since it listens on ${listen.host}`),
    );
  }
  if (!has('etcdHosts')) {
    problems.push(missing('etcdHosts', 'at least one URL (gostress server needs no etcd)'));
  }
  if (roles.includes('candidate') && !has('mysqlUrl')) {
    problems.push(missing('mysqlUrl', 'a URL, which a candidate needs (--role worker does not)'));
  }
  return problems.concat(etcdProblems(given));
}

async function checkReadable(key: ConfigName, file: string, { problems, at }: Given): Promise<void> {
  try {
    await access(file, constants.R_OK);
  } catch (error) {
    problems.push(at(key, `cannot read ${show(file)}: ${systemReason(error)}`));
  }
}

async function readEtcd(input: ConfigInput, given: Given): Promise<EtcdConfig> {
  for (const key of ['etcdCa', 'etcdCert', 'etcdKey'] as const) {
    const file = input[key];
    if (file !== undefined) await checkReadable(key, file, given);
  }
  const { etcdHosts = [], etcdUser, etcdPassword, etcdCa, etcdCert, etcdKey } = input;
  return {
    hosts: etcdHosts.map(({ host }) => formatHostPort(host)),
    user: etcdUser ?? null,
    password: etcdPassword ?? null,
    tls: etcdCa === undefined ? null : { ca: etcdCa, cert: etcdCert ?? null, key: etcdKey ?? null },
  };
}

function etcdProblems({ input, has, at, missing }: Given): string[] {
  const { etcdHosts = [] } = input;
  const secure = etcdHosts.filter(({ isSecure }) => isSecure).length;
  const problems: string[] = [];
  if (secure > 0 && secure < etcdHosts.length) {
    problems.push(at('etcdHosts', 'expected https: for all of them or for none, found both'));
  }
  if (secure > 0 && !has('etcdCa')) problems.push(missing('etcdCa', 'the certificates that etcd is trusted by'));
  for (const key of ['etcdCa', 'etcdCert', 'etcdKey'] as const) {
    if (has(key) && has('etcdHosts') && secure === 0) problems.push(at(key, 'only with https: hosts of etcd'));
  }
  for (const [one, other] of [
    ['etcdUser', 'etcdPassword'],
    ['etcdCert', 'etcdKey'],
  ] as const) {
    if (has(one) && !has(other)) problems.push(missing(other, `it beside ${one}`));
    if (has(other) && !has(one)) problems.push(missing(one, `it beside ${other}`));
  }
  return problems;
}

/**
 * By default one folder a user, wherever the command is called: a folder beside the caller would be another server with
 * other tasks in each folder, and litter repositories.
 */
function folderOf({ input, has, problems, missing }: Given, env: ConfigSources['env']): string {
  if (input.dataFolder !== undefined) return path.resolve(input.dataFolder);
  if (has('dataFolder')) return '';
  const { XDG_DATA_HOME: data = '' } = env;
  if (path.isAbsolute(data)) return path.join(data, 'gostress');
  const home = env.HOME ?? homedir();
  if (path.isAbsolute(home)) return path.join(home, '.local/share/gostress');
  problems.push(missing('dataFolder', 'the path of a folder, since there is no home folder'));
  return '';
}

function bufferOf({ bufferMax, onBufferFull }: ConfigInput, folder: string): BufferConfig {
  return { folder, maxBytes: bufferMax ?? DEFAULT_BUFFER_BYTES, onFull: onBufferFull ?? 'pause' };
}

function oddities({ listen }: NodeConfig): string[] {
  const odd: string[] = [];
  if (!isLoopback(listen.host)) {
    odd.push(
      `listening on ${listen.host} without access control: whoever reaches the port may read all and start load`,
    );
  }
  return odd;
}
