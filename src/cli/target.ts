import { Command } from '@commander-js/extra-typings';
import { CodedError } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import { formatTargetStats } from '../load/target/format.ts';
import { idleHelpers } from '../load/quiet-v8.ts';
import { startTarget } from '../load/target/server.ts';
import { EXIT } from './exit.ts';
import { writeText } from './output.ts';
import { onSignals } from './signals.ts';

/** The flags of `gostress target`; src/load/target/README.md has the grammar of the settings. */
export function targetCommand() {
  return new Command('target')
    .description('A target to try GoStress on: serves until it is stopped, then tells what arrived, and how evenly')
    .option('--host <host>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <port>', 'port; 0: a free one (default: 0)')
    .option('--status <status>', 'status of the answers: 503, or with shares 200:0.9,503:0.1')
    .option('--pause <pause>', 'hold back what arrives in the first part of each period: 200ms/2s')
    .option('--latency <latency>', '10ms, uniform:5ms-20ms, normal:MEAN,STDDEV, exp:MEAN, lognormal:MEDIAN,P99')
    .option('--size <size>', 'length of the bodies: 512, 10KB, 1MiB')
    .option('--slow <duration>', 'send each body over this time')
    .option('--error <errors>', 'reset, close, garbage, truncate, stall, each with a share: reset:0.01')
    .option('--rate <rate>', 'hits a second that the pacing is judged against (default: the mean rate)')
    .option('--seed <n>', 'seed of the random choices (default: 1)');
}

export type TargetCliOptions = ReturnType<ReturnType<typeof targetCommand>['opts']>;

/**
 * The verb `target`: serves until a signal, or until the process that started it with a channel is gone.
 *
 * @returns the exit code
 * @throws CodedError
 */
export async function target(options: TargetCliOptions): Promise<number> {
  const numbers = readNumbers(options);
  await idleHelpers();
  const server = await start({ ...options, ...numbers });
  const stopped = Promise.withResolvers<void>();
  const stop = (): void => stopped.resolve();
  const signals = onSignals(stop, stop);
  process.once('disconnect', stop);
  try {
    const text = `target at ${server.url}, Ctrl-C ends it; to stress it:\n  gostress run ${server.url} -q 100 -d 10s\n`;
    await writeText(process.stdout, 'standard output', text);
    await stopped.promise;
    await writeText(process.stdout, 'standard output', `${formatTargetStats(server.stats())}\n`);
  } finally {
    signals[Symbol.dispose]();
    // Listening keeps the channel open, and that this process alive.
    process.off('disconnect', stop);
    await server.close();
  }
  return EXIT.OK;
}

/** @throws CodedError USAGE with every one that is no number */
function readNumbers(options: TargetCliOptions) {
  const problems: string[] = [];
  const read = (
    name: 'port' | 'rate' | 'seed',
    expected: string,
    pattern: RegExp,
    most: number,
  ): number | undefined => {
    const text = options[name];
    if (text === undefined) return undefined;
    const value = pattern.test(text) ? Number(text) : NaN;
    if (!(value <= most)) problems.push(`--${name}: expected ${expected}, found ${show(text)}`);
    return value;
  };
  const numbers = {
    port: read('port', 'a port from 0 to 65535', /^\d+$/, 65_535),
    rate: read('rate', 'hits a second, like 1000', /^\d+(\.\d+)?$/, Infinity),
    seed: read('seed', 'a whole number from 0 to 4294967295', /^\d+$/, 2 ** 32 - 1),
  };
  if (problems.length > 0) throw new CodedError('USAGE', problems);
  return numbers;
}

/** A setting's problem begins with its name, which is that of its flag. */
async function start(options: Parameters<typeof startTarget>[0]): ReturnType<typeof startTarget> {
  try {
    return await startTarget(options);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const lines = error.problems.map((problem) => problem.replace(/^(\w+): /, '--$1: '));
    throw new CodedError(error.code, lines, { cause: error });
  }
}
