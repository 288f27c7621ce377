import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // All faults take an hour: `npm run test:faults`. The most telling ones are in short.test.ts.
    exclude: ['test/faults/faults.test.ts'],
    // Tests start real servers and load generators: one file at a time, so that they do not starve each other.
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
