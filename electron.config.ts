// Everything that is built, by `--mode`: `main` makes the process entries as out/main/<entry>.js and the makers of assets
// as out/main/tools/<tool>.js; `preload` the one script of the desktop window, which must be a CommonJS file; `page` the
// window itself. npm packages stay outside of the bundles of Node's side.

import { existsSync, readdirSync } from 'node:fs';

import { defineConfig, mergeConfig, type UserConfig } from 'vite';

import page from './src-renderer/vite.config.ts';

const tools = existsSync('tools') ? readdirSync('tools').filter((name) => name.endsWith('.ts')) : [];

const node = (options: UserConfig['build']): UserConfig => ({
  publicDir: false,
  build: { ssr: true, outDir: 'out/main', emptyOutDir: false, target: 'node20', minify: false, sourcemap: true, reportCompressedSize: false, ...options },
});

const builds: Readonly<Record<string, UserConfig>> = {
  main: node({
    rolldownOptions: {
      input: {
        main: 'src-main/main.ts',
        trainer: 'src-main/trainer.ts',
        cli: 'src-main/cli.ts',
        ...Object.fromEntries(tools.map((name) => [`tools/${name.replace(/\.ts$/, '')}`, `tools/${name}`])),
      },
      output: { entryFileNames: '[name].js', chunkFileNames: 'chunks/[name]-[hash].js' },
    },
  }),
  preload: node({ rolldownOptions: { input: { preload: 'src-main/preload.ts' }, output: { format: 'cjs', entryFileNames: '[name].cjs' } } }),
  page: mergeConfig(page, { root: 'src-renderer', build: { outDir: '../out/renderer', emptyOutDir: true } }),
};

export default defineConfig(({ mode }) => builds[mode] ?? builds['main']!);
