import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // A crash inside ONNX Runtime ends a process, so each worker is one.
    pool: 'forks',
    maxWorkers: 2,
    globalSetup: 'tests/scratch.ts',
    testTimeout: 120_000,
    hookTimeout: 120_000,
    projects: [
      { extends: true, test: { name: 'node', include: ['tests/**/*.test.ts'], exclude: ['tests/renderer/**'], environment: 'node' } },
      { extends: true, plugins: [svelte(), svelteTesting()], test: { name: 'dom', include: ['tests/renderer/**/*.test.ts'], environment: 'happy-dom' } },
    ],
  },
});
