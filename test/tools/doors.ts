/**
 * `npm run check:doors`: judges every import of src and test by the rules of .dependency-cruiser.mjs, and prints one
 * line per violation. A judge that saw nothing must not acquit: dependency-cruiser quietly skips TypeScript files
 * when it does not support the installed compiler, so what it saw is compared with what is on the disk.
 */
import { globSync } from 'node:fs';
import { cruise, type ICruiseResult } from 'dependency-cruiser';
import extractOptions from 'dependency-cruiser/config-utl/extract-depcruise-options';
import extractTsConfig from 'dependency-cruiser/config-utl/extract-ts-config';

const ROOTS = ['src', 'test'];

function fail(sentence: string): never {
  console.error(`doors: ${sentence}`);
  process.exit(1);
}

const expected = ROOTS.flatMap((root) => globSync(`${root}/**/*.ts`)).map((path) => path.replaceAll('\\', '/'));
if (!expected.some((path) => path.startsWith('src/'))) fail('expected TypeScript files in src, found none');

const options = await extractOptions('./.dependency-cruiser.mjs');
const { output } = await cruise(ROOTS, options, {}, { tsConfig: extractTsConfig('./tsconfig.json') });
const { modules, summary } = output as ICruiseResult;

const seen = new Set(modules.map((module) => module.source));
const unseen = expected.filter((path) => !seen.has(path));
if (unseen.length > 0) {
  fail(`expected to see ${expected.length} modules, found ${expected.length - unseen.length}; not seen: ${unseen[0]!}`);
}

const lines = new Set<string>();
for (const { rule, from, to, cycle } of summary.violations) {
  const comment = summary.ruleSetUsed?.forbidden?.find(({ name }) => name === rule.name)?.comment;
  const path = cycle === undefined ? to : cycle.map(({ name }) => name).join(' → ');
  lines.add(
    `${rule.name}: ${from === path ? from : `${from} → ${path}`}${comment === undefined ? '' : ` (${comment})`}`,
  );
}
for (const line of lines) console.error(line);
if (lines.size > 0) fail(`expected no violations, found ${lines.size}`);
console.log(`doors: ${expected.length} modules, no violations`);
