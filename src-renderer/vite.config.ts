// The page by itself, for `vite build src-renderer`.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [svelte()],
  build: { target: 'es2023', reportCompressedSize: false, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
});
