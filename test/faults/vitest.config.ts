import { defineConfig } from 'vitest/config';

/** All faults, also those that `npm test` leaves out; run from the root of the repository. */
export default defineConfig({
  test: {
    include: ['test/faults/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 60_000,
  },
});
