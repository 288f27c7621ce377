import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { bodyFile, type Kind } from './kinds.ts';
import { onPath, versionLine, type Command } from './proc.ts';

/** What a generator is asked to do. */
export interface Job {
  url: string;
  kind: Kind;
  connections: number;
  seconds: number;
  /** For files a tool wants to read. */
  folder: string;
}

export interface OpenJob extends Job {
  /** Per second, over all connections. */
  rate: number;
}

export interface Peer {
  name: string;
  version: string;
  /** Its output is our report. */
  ours?: true;
  /** null: it cannot send requests of this kind. */
  closed: (job: Job) => Command | null;
  /** Absent: the tool has no rate. Of the kind `keepalive` only. */
  open?: (job: OpenJob) => Command;
}

/** Our engine with the client it chooses (http1 here), and with the other. */
const ENGINE = 'gostress';
export const ENGINE_UNDICI = 'gostress-undici';

const REPO = fileURLToPath(new URL('../../../', import.meta.url));
const UNDICI_BARE = join(REPO, 'test/bench/peers/undici-bare.ts');
const NODE = process.execPath;

/** What can run here: our engine, the bare undici loop, autocannon, and those of the field that are on PATH. */
export function findPeers(engine: readonly string[]): { found: Peer[]; missing: string[] } {
  const found = [
    engineBy(ENGINE, engine, 'auto'),
    engineBy(ENGINE_UNDICI, engine, 'undici'),
    undiciBare(),
    autocannon(),
  ];
  const missing: string[] = [];
  for (const [name, make] of Object.entries(FIELD)) {
    const binary = onPath(name);
    if (binary === null) missing.push(name);
    else found.push({ name, ...make(binary) });
  }
  return { found, missing };
}

function engineBy(name: string, engine: readonly string[], client: 'auto' | 'undici'): Peer {
  const run = (job: Job): string[] => [
    ...[...engine, 'run', job.url, '-c', String(job.connections), '-d', `${job.seconds}s`, '-o', 'json'],
    ...(job.kind.streams === null
      ? ['--client', client]
      : ['--client', 'http2', '--streams', String(job.kind.streams)]),
    ...(job.kind.secure ? ['-k'] : []),
    ...(job.kind.keepAlive ? [] : ['--no-keepalive']),
    ...(job.kind.bodyBytes > 0 ? ['-b', `@${bodyOf(job)}`] : []),
  ];
  return {
    name,
    ours: true,
    version: versionLine([...engine, '--version']),
    closed: (job) => (isHttp2(job) && client === 'undici' ? null : { argv: run(job) }),
    open: (job) => ({ argv: [...run(job), '-q', String(job.rate)] }),
  };
}

function undiciBare(): Peer {
  return {
    name: 'undici-bare',
    version: packageVersion('undici'),
    closed: ({ url, kind, connections, seconds }) =>
      isPlain(kind) ? { argv: [NODE, UNDICI_BARE, url, String(connections), String(seconds)] } : null,
  };
}

/** A GET of HTTP/1.1 in clear text on connections that stay. */
function isPlain({ secure, keepAlive, bodyBytes, streams }: Kind): boolean {
  return !secure && keepAlive && bodyBytes === 0 && streams === null;
}

function isHttp2({ kind }: Job): boolean {
  return kind.streams !== null;
}

/** Those that speak HTTP/2 over TLS only, on as many connections as they choose. */
function isTheirs({ kind }: Job): boolean {
  return kind.streams === null || (kind.secure && kind.streams > 1);
}

function sessionsOf({ kind, connections }: Job): string {
  return String(Math.ceil(connections / (kind.streams ?? 1)));
}

function bodyOf({ kind, folder }: Job): string {
  return bodyFile(kind.bodyBytes, folder);
}

function autocannon(): Peer {
  const argv = (job: Job): string[] => [
    ...[NODE, join(REPO, 'node_modules/autocannon/autocannon.js'), '--no-progress'],
    ...['-c', String(job.connections), '-d', String(job.seconds), ...(job.kind.keepAlive ? [] : ['-D', '1'])],
    ...(job.kind.bodyBytes > 0 ? ['-m', 'POST', '-i', bodyOf(job)] : []),
  ];
  return {
    name: 'autocannon',
    version: packageVersion('autocannon'),
    closed: (job) => (isHttp2(job) ? null : { argv: [...argv(job), job.url] }),
    open: (job) => ({ argv: [...argv(job), '-R', String(job.rate), job.url] }),
  };
}

function packageVersion(name: string): string {
  const text = readFileSync(join(REPO, 'node_modules', name, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** ab wants a number of requests beside its time limit, and reserves memory for each: more than any run sends. */
const AB_REQUESTS = '5000000';

/** All with one thread where that is theirs to say: they are pinned to one core. */
const FIELD: Record<string, (binary: string) => Omit<Peer, 'name'>> = {
  wrk: (binary) => ({
    version: versionLine([binary, '-v']),
    closed: (job) => (isHttp2(job) ? null : { argv: [...wrkArgv(binary, job), job.url] }),
  }),
  h2load: (binary) => ({
    version: versionLine([binary, '--version']),
    closed: (job) => {
      const { kind, url, connections, seconds } = job;
      const shape = isHttp2(job)
        ? ['-m', String(kind.streams), '-c', sessionsOf(job)]
        : ['--h1', '-c', String(connections)];
      const body = kind.bodyBytes > 0 ? ['-d', bodyOf(job)] : [];
      return kind.keepAlive ? { argv: [binary, '-t1', ...shape, ...body, '-D', String(seconds), url] } : null;
    },
  }),
  ab: (binary) => ({
    version: versionLine([binary, '-V']),
    closed: (job) => {
      const { kind, url, connections, seconds } = job;
      const body = kind.bodyBytes > 0 ? ['-p', bodyOf(job), '-T', 'application/octet-stream'] : [];
      const shape = [...(kind.keepAlive ? ['-k'] : []), ...body, '-c', String(connections), '-t', String(seconds)];
      return isHttp2(job) ? null : { argv: [binary, '-q', ...shape, '-n', AB_REQUESTS, url] };
    },
  }),
  hey: (binary) => {
    const argv = (job: Job): string[] => [
      ...[binary, '-z', `${job.seconds}s`, '-c', String(job.connections), ...(isHttp2(job) ? ['-h2'] : [])],
      ...(job.kind.keepAlive ? [] : ['-disable-keepalive']),
      ...(job.kind.bodyBytes > 0 ? ['-m', 'POST', '-D', bodyOf(job)] : []),
    ];
    return {
      // It does not tell.
      version: versionLine(['dpkg-query', '-W', '-f', '${Version}', 'hey']),
      closed: (job) => (isTheirs(job) ? { argv: [...argv(job), job.url] } : null),
      // Its rate is per worker.
      open: (job) => ({ argv: [...argv(job), '-q', String(job.rate / job.connections), job.url] }),
    };
  },
  oha: (binary) => {
    const argv = (job: Job): string[] => [
      ...[binary, '--no-tui', '-z', `${job.seconds}s`],
      ...(isHttp2(job)
        ? ['--http2', '-p', String(job.kind.streams), '-c', sessionsOf(job)]
        : ['-c', String(job.connections), ...(job.kind.keepAlive ? [] : ['--disable-keepalive'])]),
      ...(job.kind.secure ? ['--insecure'] : []),
      ...(job.kind.bodyBytes > 0 ? ['-m', 'POST', '-D', bodyOf(job)] : []),
    ];
    return {
      version: versionLine([binary, '--version']),
      closed: (job) => ({ argv: [...argv(job), job.url] }),
      open: (job) => ({ argv: [...argv(job), '-q', String(job.rate), job.url] }),
    };
  },
  k6: (binary) => {
    const run = (job: Job, scenario: object): Command => ({
      argv: [binary, 'run', '--quiet', '--no-usage-report', k6Script(job, scenario)],
    });
    return {
      version: versionLine([binary, 'version']),
      closed: (job) => (isTheirs(job) ? run(job, { executor: 'constant-vus', vus: job.connections }) : null),
      open: (job) =>
        run(job, {
          ...{ executor: 'constant-arrival-rate', rate: job.rate, timeUnit: '1s' },
          ...{ preAllocatedVUs: job.connections, maxVUs: job.connections },
        }),
    };
  },
  vegeta: (binary) => {
    const run = (job: Job, rate: string): Command => ({
      argv: [
        ...[binary, 'attack', '-output=/dev/null', `-rate=${rate}`, `-duration=${job.seconds}s`],
        ...[`-connections=${job.connections}`, `-workers=${job.connections}`, `-max-workers=${job.connections}`],
        ...['-insecure', `-http2=${isHttp2(job)}`, `-keepalive=${job.kind.keepAlive}`],
        ...(job.kind.bodyBytes > 0 ? [`-body=${bodyOf(job)}`] : []),
      ],
      stdin: `${job.kind.bodyBytes > 0 ? 'POST' : 'GET'} ${job.url}\n`,
    });
    return {
      version: versionLine([binary, '-version']),
      closed: (job) => (isTheirs(job) ? run(job, '0') : null),
      open: (job) => run(job, `${job.rate}/1s`),
    };
  },
  fortio: (binary) => {
    const run = (job: Job, rate: number): Command => ({
      argv: [
        ...[binary, 'load', '-quiet', '-c', String(job.connections), '-qps', String(rate)],
        ...['-k', `-keepalive=${job.kind.keepAlive}`, `-h2=${isHttp2(job)}`],
        ...(job.kind.bodyBytes > 0 ? ['-payload-file', bodyOf(job)] : []),
        ...['-t', `${job.seconds}s`, job.url],
      ],
    });
    return {
      version: versionLine([binary, 'version']),
      closed: (job) => (isTheirs(job) ? run(job, 0) : null),
      open: (job) => run(job, job.rate),
    };
  },
  wrk2: (binary) => ({
    version: versionLine([binary, '-v']),
    closed: (job) => (isHttp2(job) ? null : { argv: [...wrkArgv(binary, job), '-R', '1000000', job.url] }),
    open: (job) => ({ argv: [...wrkArgv(binary, job), '-R', String(job.rate), job.url] }),
  }),
  locust: (binary) => {
    const run = (job: Job, wait: string): Command => ({
      argv: [
        ...[binary, '-f', locustFile(job, wait), '--headless', '--only-summary', '-u', String(job.connections)],
        ...['-r', String(job.connections), '-t', `${job.seconds}s`, '--host', new URL(job.url).origin],
      ],
    });
    return {
      version: versionLine([binary, '--version']),
      closed: (job) => (isPlain(job.kind) ? run(job, 'constant(0)') : null),
      open: (job) => run(job, `constant_throughput(${job.rate / job.connections})`),
    };
  },
};

function wrkArgv(binary: string, job: Job): string[] {
  const { kind, connections, seconds, folder } = job;
  const argv = [
    binary,
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    ...(kind.keepAlive ? [] : ['-H', 'Connection: close']),
  ];
  if (kind.bodyBytes === 0) return argv;
  const script = join(folder, 'wrk.lua');
  writeFileSync(script, `wrk.method = "POST"\nwrk.body = string.rep("x", ${kind.bodyBytes})\n`);
  return [...argv, '-s', script];
}

function k6Script(job: Job, scenario: object): string {
  const path = join(job.folder, 'k6.js');
  const { keepAlive, bodyBytes } = job.kind;
  const options = {
    discardResponseBodies: true,
    insecureSkipTLSVerify: true,
    noConnectionReuse: !keepAlive,
    summaryTrendStats: ['p(50)', 'p(90)', 'p(99)', 'p(99.9)'],
    scenarios: { load: { ...scenario, duration: `${job.seconds}s` } },
  };
  const url = JSON.stringify(job.url);
  writeFileSync(
    path,
    `import http from 'k6/http';
export const options = ${JSON.stringify(options)};
const body = 'x'.repeat(${bodyBytes});
export default function () { ${bodyBytes > 0 ? `http.post(${url}, body)` : `http.get(${url})`}; }
export function handleSummary({ metrics }) { return { stdout: JSON.stringify(metrics.http_req_duration.values) }; }
`,
  );
  return path;
}

function locustFile(job: Job, wait: string): string {
  const path = join(job.folder, 'locustfile.py');
  writeFileSync(
    path,
    `from locust import FastHttpUser, constant, constant_throughput, task

class User(FastHttpUser):
    wait_time = ${wait}

    @task
    def get(self):
        self.client.get("${new URL(job.url).pathname}")
`,
  );
  return path;
}
