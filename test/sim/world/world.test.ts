import { describe, expect, test } from 'vitest';
import { hunt, MUTANTS } from './mutants.ts';
import { World } from './world.ts';

const SEEDS = 60;
/** In which a mistake is noticed. */
const HUNT = 100;

describe('whole nodes in a simulated world', () => {
  test(`keep every invariant, seeds 1 to ${SEEDS}`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { violations } = await new World(seed).play();
      expect(violations, `again: npm run sim -- --seed ${seed} --trace`).toEqual([]);
    }
  }, 300_000);

  test('do the same again with the same seed, and something else with another', async () => {
    const play = async (seed: number) => (await new World(seed).play()).fingerprint;
    expect(await play(7)).toBe(await play(7));
    expect(await play(8)).not.toBe(await play(7));
  });

  test.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))(
    'notice that %s',
    async (_, mutant) => {
      const outcome = await hunt(mutant, HUNT);
      expect(outcome?.violations[0]).toMatch(new RegExp(mutant.breaks.join('|')));
    },
    120_000,
  );
});
