import { defineConfig } from 'vitest/config';

// Real processes and simulated clusters share two cores: files run two at a time, and nothing is ever retried.
export default defineConfig({
  test: { include: ['test/**/*.test.ts'], maxWorkers: 2, testTimeout: 120_000, hookTimeout: 60_000, reporters: ['default'] },
});
