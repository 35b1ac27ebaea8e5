// The configuration of installers, for the keys that are in use; electron-builder itself is fetched only when it packs.
import { existsSync, readdirSync, readFileSync } from 'node:fs';

import sharp from 'sharp';
import { expect, test } from 'vitest';
import { z } from 'zod';

const json = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

const target = z.array(z.strictObject({ target: z.enum(['nsis', 'dmg', 'zip', 'AppImage', 'deb']), arch: z.array(z.enum(['x64', 'arm64'])).min(1) })).min(1);
const schema = z.strictObject({
  appId: z.string().regex(/^[a-z]+(\.[a-z]+)+$/), productName: z.string(), copyright: z.string(),
  directories: z.strictObject({ output: z.string(), buildResources: z.string() }),
  npmRebuild: z.literal(false), asar: z.literal(true), files: z.array(z.string()),
  extraResources: z.array(z.strictObject({ from: z.string(), to: z.string(), filter: z.array(z.string()) })), asarUnpack: z.array(z.string()),
  electronFuses: z.strictObject({
    runAsNode: z.literal(false), enableCookieEncryption: z.literal(true), enableNodeOptionsEnvironmentVariable: z.literal(false), enableNodeCliInspectArguments: z.literal(false),
    enableEmbeddedAsarIntegrityValidation: z.literal(true), onlyLoadAppFromAsar: z.literal(true), grantFileProtocolExtraPrivileges: z.literal(false),
  }),
  win: z.strictObject({ target, icon: z.string() }),
  nsis: z.strictObject({ oneClick: z.boolean(), perMachine: z.boolean(), allowToChangeInstallationDirectory: z.boolean() }),
  mac: z.strictObject({ target, category: z.string(), icon: z.string(), hardenedRuntime: z.boolean(), notarize: z.boolean() }),
  linux: z.strictObject({ target, category: z.string(), icon: z.string(), maintainer: z.string(), synopsis: z.string() }),
});

const config = schema.parse(json('packaging/electron-builder.json'));

test('the targets that were promised', () => {
  const targets = (list: z.infer<typeof target>): string[] => list.flatMap(({ target: kind, arch }) => arch.map((one) => `${kind} ${one}`));
  expect(targets(config.win.target)).toEqual(['nsis x64', 'nsis arm64']);
  // ONNX Runtime has no build for Macs with Intel processors.
  expect(targets(config.mac.target)).toEqual(['dmg arm64', 'zip arm64']);
  expect(targets(config.linux.target)).toEqual(['AppImage x64', 'AppImage arm64', 'deb x64', 'deb arm64']);
});

test('native libraries lie outside of the archive, folders as a whole', () => {
  expect(config.asarUnpack).toEqual(['**/node_modules/onnxruntime-node/bin/**', '**/node_modules/@img/**', '**/node_modules/sharp/**']);
  const platforms = readdirSync('node_modules/onnxruntime-node/bin/napi-v6');
  expect(platforms).toContain('linux');
});

test('what is named is there', async () => {
  for (const { from } of config.extraResources) expect(existsSync(from)).toBe(true);
  for (const icon of [config.win.icon, config.mac.icon]) {
    const { width, height, hasAlpha } = await sharp(icon).metadata();
    expect([width, height, hasAlpha]).toEqual([width, width, true]);
    expect(width).toBeGreaterThanOrEqual(512);
  }
  expect(readdirSync(config.linux.icon)).toEqual(expect.arrayContaining(['256x256.png', '512x512.png']));
  const { main, dependencies } = json('package.json') as { main: string; dependencies: Record<string, string> };
  expect(main).toBe('out/main/main.js');
  expect(dependencies['electron']).toBeUndefined();
});
