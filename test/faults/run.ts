/** `npm run test:faults -- F7 F12`: all cases of these numbers; `-- short`: the most telling ones; or all. Other arguments are vitest's. */
import { spawnSync } from 'node:child_process';

const isNumber = (arg: string): boolean => /^F\d+$/i.test(arg);
const args = process.argv.slice(2);
const numbers = args.filter(isNumber).map((arg) => arg.toUpperCase());
const chosen = numbers.length === 0 ? [] : ['-t', `^(${numbers.join('|')}) `];
const isShort = args.includes('short');
const files = isShort ? ['test/faults/short.test.ts'] : ['test/faults/faults.test.ts', 'test/faults/judge.test.ts'];
const others = args.filter((arg) => !isNumber(arg) && arg !== 'short');
// Each case takes a minute: verbose tells of it when it ends.
const vitest = [
  'vitest',
  'run',
  '--reporter=verbose',
  '--config',
  'test/faults/vitest.config.ts',
  ...files,
  ...chosen,
  ...others,
];
process.exitCode = spawnSync('npx', vitest, { stdio: 'inherit' }).status ?? 1;
