import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // All faults take an hour, the short ones six minutes: `npm run test:faults`, and with `-- short`.
    exclude: ['test/faults/faults.test.ts', 'test/faults/short.test.ts'],
    // Tests start real servers and load generators: one file at a time, so that they do not starve each other.
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
