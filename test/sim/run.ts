/**
 * The seeded simulation: `npm run sim -- --seeds 1000`, `npm run sim -- --seed 17 --trace`. Ends with 1 when a seed breaks
 * something; the same seed breaks it again.
 */
import { World } from './world/world.ts';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
});
const first = Number(values.seed ?? values.from);
const count = values.seed === undefined ? Number(values.seeds) : 1;
if (!Number.isSafeInteger(first) || !Number.isSafeInteger(count) || count < 1) {
  console.error(`expected whole numbers, found --seeds ${values.seeds} --seed ${values.seed ?? ''}`);
  process.exit(2);
}

let playing = first;
process.on('unhandledRejection', (error) => {
  console.error(`seed ${playing}: unhandled`, error);
  process.exit(1);
});
const startedMs = performance.now();
let events = 0;
let broken = 0;
const followedMs: number[] = [];
for (playing = first; playing < first + count; playing++) {
  const outcome = await new World(playing, { trace: values.trace }).play();
  events += outcome.events;
  if (outcome.followedMs !== null) followedMs.push(outcome.followedMs);
  if (values.trace) console.log(outcome.lines.join('\n'));
  if (outcome.violations.length === 0) continue;
  broken += 1;
  console.log(`seed ${playing} (again: npm run sim -- --seed ${playing} --trace)`);
  for (const violation of outcome.violations) console.log(`  ${violation}`);
}
const seconds = (performance.now() - startedMs) / 1000;
if (followedMs.length > 0) {
  const ms = followedMs.sort((a, b) => a - b).map(Math.round);
  console.log(`${ms.length} masters killed in calm were followed after ${ms[0]} to ${ms.at(-1)} ms`);
}
console.log(`${count} seeds, ${events} events, ${broken} broken, ${seconds.toFixed(1)} s`);
process.exit(broken === 0 ? 0 : 1);
