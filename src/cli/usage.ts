import { CommanderError, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { CodedError, errorMessage, type ErrorCode } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import { nearest } from '../lib/suggest.ts';
import { EXIT } from './exit.ts';

/** What an error becomes at the border: lines for standard error, without the verb's name, and an exit code. */
export interface ErrorEnd {
  lines: readonly string[];
  exitCode: number;
}

const EXIT_OF: Partial<Record<ErrorCode, number>> = {
  USAGE: EXIT.USAGE,
  INVALID_INPUT: EXIT.USAGE,
  UNAVAILABLE: EXIT.LOST,
};

/**
 * @param command the innermost verb that was called, or the whole program when none was
 * @param argv what follows it
 */
export function errorEnd(error: unknown, command: CommandUnknownOpts, argv: readonly string[]): ErrorEnd {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return { lines: [], exitCode: EXIT.OK };
    return { lines: [parserProblem(error, command, argv)], exitCode: EXIT.USAGE };
  }
  if (error instanceof CodedError) {
    return { lines: error.problems, exitCode: EXIT_OF[error.code] ?? EXIT.FAILED };
  }
  const trace = error instanceof Error ? error.stack : undefined;
  return { lines: [`internal error: ${trace ?? errorMessage(error)}`], exitCode: EXIT.FAILED };
}

/** Our own words: those of commander repeat values, which may be secrets. */
function parserProblem(error: CommanderError, command: CommandUnknownOpts, argv: readonly string[]): string {
  switch (error.code) {
    case 'commander.unknownOption':
      return unknownFlag(/'(.*)'/s.exec(error.message)?.[1] ?? '', command);
    case 'commander.optionMissingArgument': {
      const flags = /'(.*)'/.exec(error.message)?.[1] ?? '';
      return `${flags.replace(/ <.*/, '')}: expected a value, found the end of the command line`;
    }
    case 'commander.excessArguments':
      return tooManyArguments(command.registeredArguments.length);
    case 'commander.unknownCommand':
    case 'commander.help':
      return unknownVerb(argv[0], command);
    default:
      return error.message.replace(/^error: /, '').replaceAll('\n', ' ');
  }
}

function unknownFlag(text: string, command: CommandUnknownOpts): string {
  const flag = text.startsWith('--') ? text.replace(/=.*/s, '') : text.slice(0, 2);
  const known = command.options.flatMap(({ long }) => long ?? []);
  if (known.includes(flag)) return `${flag}: expected no value, it is a switch`;
  const meant = nearest(flag, known);
  return `unknown flag ${flag}; ${meant === null ? '--help lists all' : `did you mean ${meant}?`}`;
}

function unknownVerb(word: string | undefined, program: CommandUnknownOpts): string {
  const verbs = program.commands.map((verb) => verb.name());
  const list = verbs.join(', ');
  if (word === undefined) return `expected a verb (${list}), found none; ${nameOf(program)} --help tells more`;
  if (word.includes('://') && program.parent === null) return 'expected a verb before the URL: gostress run URL';
  const meant = nearest(word, verbs);
  const hint = meant === null ? '' : `; did you mean ${meant}?`;
  return `expected a verb (${list}), found ${show(word)}${hint}`;
}

function tooManyArguments(most: number): string {
  const expected = most === 1 ? '1 argument' : `${most} arguments`;
  return `expected at most ${expected} beside the flags, found more; values with spaces need quotes`;
}

function nameOf(command: CommandUnknownOpts): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}
