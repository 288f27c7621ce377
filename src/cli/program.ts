import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { VERSION } from '../app/version.ts';
import { CodedError } from '../lib/errors.ts';
import { clusterCommand } from './failover.ts';
import { demo, demoCommand } from './demo.ts';
import { EXIT } from './exit.ts';
import { migrateCommand } from './migrate.ts';
import { nodeCommand, serverCommand } from './node.ts';
import { nodesCommand, statusCommand } from './nodes.ts';
import { runCommand } from './options.ts';
import { ignoreErrors } from './output.ts';
import { run } from './run.ts';
import { runsCommand } from './runs.ts';
import { target, targetCommand } from './target.ts';
import { tasksCommand } from './tasks.ts';
import { errorEnd } from './usage.ts';

const EXAMPLES = `
Examples:
  gostress run http://127.0.0.1:8080/ -q 1000 -d 30s --slo 'p99 < 200ms'
  gostress run http://127.0.0.1:8080/ -c 50 -n 10000 --check 'json=$.code==200'
  gostress run http://127.0.0.1:8080/ --stage 30s:1000 --stage 1m=1000 -o json=report.json
  gostress run --curl "curl -X POST http://127.0.0.1:8080/ --json '{}'" -q 100
  gostress run -f task.yaml
  gostress run -f task.yaml --cluster 127.0.0.1:7420

Exit codes, the first that applies: 2 usage, 1 internal or output error or no hit succeeded, 3 the cluster does not answer,
130 interrupted or stopped, 98 INVALID (with --strict also DEGRADED), 99 an SLO was missed, 0.
`;

/**
 * Runs a command line. Never throws: errors are told on standard error, one line each.
 *
 * @param argv without the program
 * @returns the exit code
 */
export async function cli(argv: readonly string[]): Promise<number> {
  // A report that is lost is noticed where it is written; all other text may get lost.
  ignoreErrors(process.stdout);
  ignoreErrors(process.stderr);
  let exitCode: number = EXIT.OK;
  const done = (code: number): void => void (exitCode = code);
  const verbs: CommandUnknownOpts[] = [
    runCommand()
      .addHelpText('after', EXAMPLES)
      .action(async (url, options) => {
        exitCode = await run(url, options);
      }),
    targetCommand().action(async (options) => {
      exitCode = await target(options);
    }),
    demoCommand().action(async (options) => {
      exitCode = await demo(options);
    }),
    serverCommand(done),
    nodeCommand(done),
    migrateCommand(),
    tasksCommand(),
    runsCommand(done),
    nodesCommand(),
    clusterCommand(),
    statusCommand(),
  ];
  const program = programOf(verbs);
  try {
    checkConfused(program, argv);
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    const { command, name, depth } = calledVerb(program, argv);
    const end = errorEnd(error, command, argv.slice(depth));
    process.stderr.write(end.lines.map((line) => `${name}: ${line}\n`).join(''));
    return end.exitCode;
  }
}

/** `gostress run` starts one, `gostress runs` is about those of a cluster. @throws CodedError USAGE when they are mixed up */
function checkConfused(program: CommandUnknownOpts, [verb = '', word = '']: readonly string[]): void {
  const plural = program.commands.find((command) => command.name() === `${verb}s`);
  const isMeant = plural?.commands.some((command) => command.name() === word) === true;
  if (isMeant && !plural.aliases().includes(verb)) {
    throw new CodedError('USAGE', `${word}: is a verb of gostress ${verb}s; did you mean gostress ${verb}s ${word}?`);
  }
}

/** The innermost verb that was called, its name as one types it, and how many words that is. */
function calledVerb(program: CommandUnknownOpts, argv: readonly string[]) {
  let command = program;
  let name = 'gostress';
  let depth = 0;
  for (const word of argv) {
    const inner = command.commands.find((verb) => verb.name() === word || verb.aliases().includes(word));
    if (inner === undefined) break;
    command = inner;
    name = `${name} ${inner.name()}`;
    depth++;
  }
  return { command, name, depth };
}

function programOf(verbs: readonly CommandUnknownOpts[]): Command {
  const program = new Command('gostress')
    .description('HTTP stress testing whose numbers add up')
    .version(VERSION, '-V, --version', 'print the version')
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [verb]', 'print the help of a verb');
  for (const verb of verbs) {
    inherit(verb, program);
    program.addCommand(verb);
  }
  return program;
}

function inherit(verb: CommandUnknownOpts, parent: CommandUnknownOpts): void {
  verb.copyInheritedSettings(parent);
  verb.version(VERSION, '-V, --version', 'print the version');
  for (const inner of verb.commands) inherit(inner, verb);
}
