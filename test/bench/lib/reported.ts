import type { Command } from './proc.ts';

export const PERCENTILES = ['p50', 'p90', 'p99', 'p99.9'] as const;
export type Percentile = (typeof PERCENTILES)[number];

/** Latencies as a generator tells them, ms; what it does not tell is absent. */
export type Reported = Partial<Record<Percentile, number>>;

/** How a generator is made to tell its percentiles, and where they stand in what it prints. */
interface Teller {
  /** Flags that go before the last argument. */
  flags: readonly string[];
  read: (stdout: string) => Reported;
}

const FACTORS = { us: 1e-3, ms: 1, s: 1e3 };

/** `50.000%  1.20ms`, as wrk and wrk2 print it. */
function readWrk(stdout: string): Reported {
  const lines = [...stdout.matchAll(/^ *([\d.]+)% +([\d.]+)(us|ms|s)$/gm)];
  return found((percent) => {
    const [, , value, unit] = lines.find(([, of]) => Number(of) === Number(percent)) ?? [];
    return value === undefined ? undefined : Number(value) * FACTORS[unit as keyof typeof FACTORS];
  });
}

/** @param valueOf of `50`, `90`, `99`, `99.9`; NaN: not told */
function found(valueOf: (percent: string) => number | undefined): Reported {
  const values = PERCENTILES.map((name) => [name, valueOf(name.slice(1)) ?? NaN] as const);
  return Object.fromEntries(values.filter(([, value]) => !Number.isNaN(value)));
}

const GOSTRESS: Teller = {
  flags: [],
  read(stdout) {
    interface Summary {
      percentilesMs: Record<string, number>;
    }
    // The target knows of answers only: from the intended start; without a rate there is none.
    const { latencies } = JSON.parse(stdout) as { latencies: { responseOk?: Summary | null; serviceOk: Summary } };
    const { percentilesMs } = latencies.responseOk ?? latencies.serviceOk;
    return found((percent) => percentilesMs[`p${percent}`]);
  },
};

const WRK: Teller = { flags: ['--latency'], read: readWrk };

/** By the names of `findPeers`; h2load and the bare loop tell no percentiles. */
const TELLERS: Readonly<Record<string, Teller>> = {
  gostress: GOSTRESS,
  'gostress-undici': GOSTRESS,
  wrk: WRK,
  wrk2: WRK,
  autocannon: {
    flags: ['--json'],
    read(stdout) {
      const { latency } = JSON.parse(stdout) as { latency: Record<string, number> };
      return found((percent) => latency[`p${percent.replace('.', '_')}`]);
    },
  },
  ab: {
    flags: [],
    read: (stdout) => found((percent) => Number(new RegExp(`^ *${percent}% +(\\d+)`, 'm').exec(stdout)?.[1] ?? NaN)),
  },
  hey: {
    flags: [],
    read: (stdout) =>
      found((percent) => Number(new RegExp(`^ *${percent}% in ([\\d.]+) secs`, 'm').exec(stdout)?.[1] ?? NaN) * 1e3),
  },
  oha: {
    flags: ['--output-format', 'json'],
    read(stdout) {
      const { latencyPercentiles } = JSON.parse(stdout) as { latencyPercentiles: Record<string, number | null> };
      return found((percent) => (latencyPercentiles[`p${percent}`] ?? NaN) * 1e3);
    },
  },
  k6: {
    flags: [],
    read(stdout) {
      const values = JSON.parse(stdout) as Record<string, number>;
      return found((percent) => values[`p(${percent})`]);
    },
  },
  vegeta: {
    flags: [],
    read(stdout) {
      const { latencies } = JSON.parse(stdout) as { latencies: Record<string, number> };
      return found((percent) => (latencies[`${percent}th`] ?? NaN) / 1e6);
    },
  },
  fortio: {
    flags: ['-json', '-'],
    read(stdout) {
      const list = /"Percentiles": (\[[^\]]*\])/.exec(stdout)?.[1] ?? '[]';
      const values = JSON.parse(list) as { Percentile: number; Value: number }[];
      return found((percent) => (values.find(({ Percentile }) => Percentile === Number(percent))?.Value ?? NaN) * 1e3);
    },
  },
};

/** The command that also tells percentiles; null: this generator tells none. */
export function telling(peer: string, { argv, ...rest }: Command): Command | null {
  const teller = TELLERS[peer];
  if (teller === undefined) return null;
  if (peer === 'vegeta') {
    const attack = argv.map((each) => (each === '-output=/dev/null' ? '-output=stdout' : each));
    return { ...rest, argv: ['sh', '-c', `"$@" | ${argv[0]!} report -type=json`, 'sh', ...attack] };
  }
  return { ...rest, argv: [...argv.slice(0, -1), ...teller.flags, argv.at(-1)!] };
}

/** @param peer of `telling` @throws Error when its output is not what was expected */
export function reported(peer: string, stdout: string): Reported {
  return TELLERS[peer]!.read(stdout);
}
