import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { CONFIG_NAMES } from '../app/config-keys.ts';
import { configSecrets, readConfig, type ConfigSources, type NodeConfig } from '../app/config.ts';
import type { RunningNode } from '../app/node.ts';
import { createLog, type Log } from '../lib/log.ts';
import { notifySystemd, startWatchdog, type ServiceState } from '../lib/systemd.ts';
import { addConfigFlags, configSources, SERVER_KEYS } from './config-flags.ts';
import { EXIT } from './exit.ts';
import { writeText } from './output.ts';
import { serverText } from './server-text.ts';
import { onSignals } from './signals.ts';

type Done = (exitCode: number) => void;

/** The process ends by itself within this time after its node, or is ended. */
const LAST_MS = 1_000;

/** `gostress node`: one process of a cluster. */
export function nodeCommand(done: Done): CommandUnknownOpts {
  const command = new Command('node').description(
    'Run a node of a cluster (worker, candidate, sentinel) until SIGTERM or SIGINT drains it; logs go to standard error',
  );
  addConfigFlags(command, CONFIG_NAMES);
  return command.action(async (options) => done(await serve(configSources(options, 'node'))));
}

/** `gostress server`: a cluster of one process, without etcd and MySQL. */
export function serverCommand(done: Done): CommandUnknownOpts {
  const command = new Command('server').description(
    'Run a cluster of this one process: tasks and results in a folder, nothing else needed; SIGTERM or SIGINT drains it',
  );
  addConfigFlags(command, SERVER_KEYS);
  return command.action(async (options) => done(await serve(configSources(options, 'server'))));
}

/** @throws CodedError */
async function serve(sources: ConfigSources): Promise<number> {
  const { config, warnings } = await readConfig(sources);
  const log = nodeLog(config);
  for (const warning of warnings) log.warn({}, warning);
  const stop = new AbortController();
  let node: RunningNode | null = null;
  using parts = new DisposableStack();
  const signals = onSignals(
    (signal) => {
      stop.abort(signal);
      node?.drain(signal);
    },
    (signal) => {
      log.warn({ signal }, 'leaving at once');
      node?.abort(`${signal}, the second one`);
    },
  );
  parts.use(signals);
  node = await startNode(config, log, stop.signal);
  if (node === null) return EXIT.OK;
  parts.use(startWatchdog((error) => log.warn({ err: error }, 'systemd could not be told')));
  await tellSystemd({ phase: 'ready', status: `serving on ${node.address}` }, log);
  if (config.dataFolder !== null) {
    await writeText(process.stdout, 'standard output', serverText(node.address, config.dataFolder));
  }
  if (stop.signal.aborted) node.drain(String(stop.signal.reason));
  node.draining.addEventListener('abort', () => void tellSystemd({ phase: 'stopping', status: 'draining' }, log));
  await node.done;
  // Whatever still holds the process, a call that nobody answers, does not hold it for long.
  setTimeout(() => process.exit(), LAST_MS).unref();
  return EXIT.OK;
}

/** Loaded here: verbs that need none of it start twice as fast. And apart from `using`, where tsc leaves the path as it is. */
async function startNode(
  ...parameters: Parameters<typeof import('../app/node.ts').startNode>
): Promise<RunningNode | null> {
  const node = await import('../app/node.ts');
  return node.startNode(...parameters);
}

/** On a terminal lines for people, else JSON. */
export function nodeLog(config: NodeConfig): Log {
  const { stderr } = process;
  const { logLevel: level, logFormat } = config;
  const format = logFormat === 'auto' ? (stderr.isTTY ? 'text' : 'json') : logFormat;
  const role = config.roles.includes('worker') ? 'worker' : (config.roles[0] ?? '');
  return createLog({ level, format, out: stderr, secrets: configSecrets(config), fields: { role } });
}

async function tellSystemd(state: ServiceState, log: Log): Promise<void> {
  try {
    await notifySystemd(state);
  } catch (error) {
    log.warn({ err: error }, 'systemd could not be told');
  }
}
