import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { VERSION } from '../app/version.ts';
import { demo, demoCommand } from './demo.ts';
import { EXIT } from './exit.ts';
import { runCommand } from './options.ts';
import { ignoreErrors } from './output.ts';
import { run } from './run.ts';
import { target, targetCommand } from './target.ts';
import { errorEnd } from './usage.ts';

const EXAMPLES = `
Examples:
  gostress run http://127.0.0.1:8080/ -q 1000 -d 30s --slo 'p99 < 200ms'
  gostress run http://127.0.0.1:8080/ -c 50 -n 10000 --check 'json=$.code==200'
  gostress run http://127.0.0.1:8080/ --stage 30s:1000 --stage 1m=1000 -o json=report.json
  gostress run --curl "curl -X POST http://127.0.0.1:8080/ --json '{}'" -q 100
  gostress run -f task.yaml

Exit codes, the first that applies: 2 usage, 1 internal or output error or no hit succeeded, 130 interrupted,
98 INVALID (with --strict also DEGRADED), 99 an SLO was missed, 0.
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
  ];
  const program = programOf(verbs);
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    const verb = verbs.find((command) => command.name() === argv[0]) ?? program;
    const end = errorEnd(error, verb, argv);
    const name = verb === program ? 'gostress' : `gostress ${verb.name()}`;
    process.stderr.write(end.lines.map((line) => `${name}: ${line}\n`).join(''));
    return end.exitCode;
  }
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
    verb.copyInheritedSettings(program);
    verb.version(VERSION, '-V, --version', 'print the version');
    program.addCommand(verb);
  }
  return program;
}
