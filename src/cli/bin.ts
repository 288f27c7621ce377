#!/usr/bin/env node
/**
 * The installed `gostress` command. GoStress needs Node 24; on an older Node this file runs itself again on the one
 * that an optional dependency brought along, or says what to do. So, unlike every other file here, it must load on
 * any Node since 16, and may import nothing of ours before the version is known.
 */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const NEEDED_MAJOR = 24;

/** What may be sent to this process and is meant for the one that does the work. */
const PASSED_ON = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGWINCH', 'SIGCONT'] as const;

if (majorOf(process.versions.node) >= NEEDED_MAJOR) {
  if (process.connected) endWithLauncher();
  await import('./main.ts');
} else {
  const bundled = bundledNode();
  if (bundled === null) {
    fail(
      `expected Node ${NEEDED_MAJOR} or newer, found ${process.versions.node}: install Node ${NEEDED_MAJOR}, or on ` +
        'Linux (x64, arm64) reinstall gostress with its optional dependencies, which bring it along',
    );
  } else {
    runAgain(bundled);
  }
}

function majorOf(version: string): number {
  return Number.parseInt(version, 10);
}

/** Path of the Node that was installed with this package; null when there is none that is new enough. */
function bundledNode(): string | null {
  const require = createRequire(import.meta.url);
  const name = `node-${process.platform}-${process.arch}`;
  try {
    const { version } = require(`${name}/package.json`) as { version: string };
    return majorOf(version) >= NEEDED_MAJOR ? require.resolve(`${name}/bin/node`) : null;
  } catch {
    return null;
  }
}

/**
 * Runs this command on another Node, with the same arguments, input and outputs, and ends as it ends.
 *
 * The child gets a session of its own. A terminal sends Ctrl-C to every process of its foreground group, so a child
 * in our group would hear it twice, once from the terminal and once from us; in its own session it hears each signal
 * once, however it was sent. The price: stopping (Ctrl-Z) and the size of the terminal have to be passed on too.
 */
function runAgain(node: string): void {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    // The fourth is the channel by whose end the child learns that we were killed.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    detached: true,
  });
  for (const signal of PASSED_ON) process.on(signal, () => child.kill(signal));
  process.on('SIGTSTP', () => {
    child.kill('SIGSTOP');
    process.kill(process.pid, 'SIGSTOP');
  });
  child.once('error', (error) => {
    fail(`expected to run ${node}, found: ${error.message}`);
  });
  child.once('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.exitCode = 128 + constants.signals[signal];
    process.kill(process.pid, signal);
  });
}

/** In the child: a killed launcher cannot pass signals on, so its end counts as one. */
function endWithLauncher(): void {
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  process.channel?.unref();
}

function fail(sentence: string): void {
  process.stderr.write(`gostress: ${sentence}\n`);
  process.exitCode = 1;
}
