import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { onPath, versionLine, type Command } from './proc.ts';

/** What a generator is asked to do. */
export interface Job {
  url: string;
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
  closed: (job: Job) => Command;
  /** Absent: the tool has no rate. */
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
    ...['--client', client],
  ];
  return {
    name,
    ours: true,
    version: versionLine([...engine, '--version']),
    closed: (job) => ({ argv: run(job) }),
    open: (job) => ({ argv: [...run(job), '-q', String(job.rate)] }),
  };
}

function undiciBare(): Peer {
  return {
    name: 'undici-bare',
    version: packageVersion('undici'),
    closed: ({ url, connections, seconds }) => ({
      argv: [NODE, UNDICI_BARE, url, String(connections), String(seconds)],
    }),
  };
}

function autocannon(): Peer {
  const argv = ({ connections, seconds }: Job): string[] => [
    ...[NODE, join(REPO, 'node_modules/autocannon/autocannon.js'), '--no-progress'],
    ...['-c', String(connections), '-d', String(seconds)],
  ];
  return {
    name: 'autocannon',
    version: packageVersion('autocannon'),
    closed: (job) => ({ argv: [...argv(job), job.url] }),
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
    closed: ({ url, connections, seconds }) => ({
      argv: [binary, '-t1', `-c${connections}`, `-d${seconds}s`, url],
    }),
  }),
  h2load: (binary) => ({
    version: versionLine([binary, '--version']),
    closed: ({ url, connections, seconds }) => ({
      argv: [binary, '--h1', '-t1', '-c', String(connections), '-D', String(seconds), url],
    }),
  }),
  ab: (binary) => ({
    version: versionLine([binary, '-V']),
    closed: ({ url, connections, seconds }) => ({
      argv: [binary, '-q', '-k', '-c', String(connections), '-t', String(seconds), '-n', AB_REQUESTS, url],
    }),
  }),
  hey: (binary) => {
    const argv = ({ connections, seconds }: Job): string[] => [binary, '-z', `${seconds}s`, '-c', String(connections)];
    return {
      // It does not tell.
      version: versionLine(['dpkg-query', '-W', '-f', '${Version}', 'hey']),
      closed: (job) => ({ argv: [...argv(job), job.url] }),
      // Its rate is per worker.
      open: (job) => ({ argv: [...argv(job), '-q', String(job.rate / job.connections), job.url] }),
    };
  },
  oha: (binary) => {
    const argv = ({ connections, seconds }: Job): string[] => [
      ...[binary, '--no-tui', '-z', `${seconds}s`, '-c', String(connections)],
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
      closed: (job) => run(job, { executor: 'constant-vus', vus: job.connections }),
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
      ],
      stdin: `GET ${job.url}\n`,
    });
    return {
      version: versionLine([binary, '-version']),
      closed: (job) => run(job, '0'),
      open: (job) => run(job, `${job.rate}/1s`),
    };
  },
  fortio: (binary) => {
    const run = (job: Job, rate: number): Command => ({
      argv: [
        ...[binary, 'load', '-quiet', '-c', String(job.connections), '-qps', String(rate)],
        ...['-t', `${job.seconds}s`, job.url],
      ],
    });
    return {
      version: versionLine([binary, 'version']),
      closed: (job) => run(job, 0),
      open: (job) => run(job, job.rate),
    };
  },
  wrk2: (binary) => ({
    version: versionLine([binary, '-v']),
    closed: ({ url, connections, seconds }) => ({
      argv: [binary, '-t1', `-c${connections}`, `-d${seconds}s`, '-R', '1000000', url],
    }),
    open: ({ url, connections, seconds, rate }) => ({
      argv: [binary, '-t1', `-c${connections}`, `-d${seconds}s`, '-R', String(rate), url],
    }),
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
      closed: (job) => run(job, 'constant(0)'),
      open: (job) => run(job, `constant_throughput(${job.rate / job.connections})`),
    };
  },
};

function k6Script(job: Job, scenario: object): string {
  const path = join(job.folder, 'k6.js');
  const options = { discardResponseBodies: true, scenarios: { load: { ...scenario, duration: `${job.seconds}s` } } };
  writeFileSync(
    path,
    `import http from 'k6/http';
export const options = ${JSON.stringify(options)};
export default function () { http.get(${JSON.stringify(job.url)}); }
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
