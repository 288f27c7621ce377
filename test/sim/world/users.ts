import { DEFAULT_PLACEMENT, type Wanted } from '../../../src/stress/ports.ts';
import type { StageSpec } from '../../../src/task/spec.ts';
import { taskOf } from '../../stress/support/records.ts';
import type { World } from './world.ts';

const START_MS = 2_000;
/** A run whose end is a stop, or its last hit, would go on for long without. */
const LONG_S = 120;

/** One run, with some changes of what is wanted of it. */
export function planUsers(world: World): void {
  const { dice, clock, sql } = world;
  const isStopped = dice.chance(0.25);
  const kind = dice.pick(['rate', 'rate', 'ramps', 'hits'] as const);
  const durationS = isStopped || kind === 'hits' ? LONG_S : Math.round(dice.between(25, 60));
  const placement = { ...DEFAULT_PLACEMENT, strategy: 'even', moving: world.moving };
  const load = { grace: '1s', duration: `${durationS}s` };
  const byKind = {
    rate: () => ({ ...load, rate: 60 }),
    hits: () => ({ ...load, rate: 60, hits: Math.round(dice.between(200, 1_500)) }),
    ramps: () => {
      const stages = stagesOf(world, durationS * 1000).map(({ durationMs, ...stage }) => {
        return { ...stage, duration: `${durationMs!}ms` };
      });
      return { grace: '1s', model: 'open', stages };
    },
  };
  const task = taskOf(byKind[kind]());
  clock.at(START_MS, null, () => sql.startRun(task, placement));
  const changes = Math.floor(dice.between(0, 4));
  for (let i = 0; i < changes; i++) want(world, dice.between(START_MS + 1, 40_000), changeOf(world));
  if (isStopped) want(world, dice.between(START_MS + 1, 45_000), { state: 'STOPPED' });
}

function changeOf(world: World): Partial<Wanted> {
  const { dice } = world;
  if (dice.chance(0.2)) return { state: 'PAUSED' };
  if (dice.chance(0.2)) return { state: 'RUNNING', stages: stagesOf(world, 20_000) };
  const rampMs = dice.chance(0.4) ? Math.round(dice.between(500, 15_000)) : 0;
  return { state: 'RUNNING', target: Math.round(dice.between(20, 120)), rampMs, stages: null };
}

/** Up, and on, and up or down again. */
function stagesOf({ dice }: World, ms: number): StageSpec[] {
  const count = Math.floor(dice.between(2, 5));
  return Array.from({ length: count }, () => ({
    durationMs: Math.round(ms / count),
    target: Math.round(dice.between(10, 120)),
    shape: dice.chance(0.7) ? 'ramp' : 'constant',
  }));
}

function want(world: World, atMs: number, wanted: Partial<Wanted>): void {
  const { clock, sql, judge } = world;
  clock.at(atMs, null, () => {
    world.say('user', `wants ${JSON.stringify(wanted)}`, {});
    if (sql.setWanted(1n, wanted) && wanted.state === 'STOPPED') judge.runs.stopWanted(1n);
  });
}
