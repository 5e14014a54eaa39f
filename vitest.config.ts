import path from 'node:path';
import { defineConfig } from 'vitest/config';

// `unit` is quick and part of `npm run check`; `full` holds everything that starts processes.
export default defineConfig({
  resolve: { alias: { rungs: path.resolve(import.meta.dirname, 'src/index.ts') } },
  test: {
    // No test depends on how fast the machine is: the limit only ends what would hang for ever.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    // Most of a file's time is waiting for processes that it starts: two files at a time also fill two cores.
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: 'unit', include: ['tests/unit/**/*.test.ts', 'tests/machine/**/*.test.ts'] } },
      { extends: true, test: { name: 'full', include: ['tests/{contract,integration,paths}/**/*.test.ts'] } },
    ],
  },
});
