// Build for Node: the process entries as out/main/<entry>.js, the makers of assets as out/main/tools/<tool>.js.
// npm packages stay outside of the bundle.

import { existsSync, readdirSync } from 'node:fs';

import { defineConfig } from 'vite';

const tools = existsSync('tools') ? readdirSync('tools').filter((name) => name.endsWith('.ts')) : [];

export default defineConfig({
  publicDir: false,
  build: {
    ssr: true,
    outDir: 'out/main',
    target: 'node20',
    minify: false,
    sourcemap: true,
    reportCompressedSize: false,
    rolldownOptions: {
      input: {
        cli: 'src-main/cli.ts',
        ...Object.fromEntries(tools.map((name) => [`tools/${name.replace(/\.ts$/, '')}`, `tools/${name}`])),
      },
      output: { entryFileNames: '[name].js', chunkFileNames: 'chunks/[name]-[hash].js' },
    },
  },
});
