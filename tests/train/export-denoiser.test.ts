// Exports on a base that is a UNet by itself, as ComfyUI keeps them.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { formats } from '../../src-main/catalog/formats/index.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { writeSafetensors } from '../../src-main/files/safetensors-write.ts';
import { FOLDER_FILES } from '../../src-main/nn/checkpoint-parts.ts';
import { exportCommand } from '../../src-main/train/export-command.ts';
import { writeAdapter } from '../../src-main/train/write-adapter.ts';
import { refusalOf, temporaryFolder } from '../files/temporary.ts';
import { goldenPath } from '../nn/golden.ts';
import { sourceAt } from './random-source.ts';

const PREFIX = 'model.diffusion_model.';

describe.each(['sd15', 'sd21', 'sdxl'])('the UNet of %s by itself', (kind) => {
  const whole = goldenPath('checkpoints', `${kind}.safetensors`);

  async function files(): Promise<{ base: string; adapter: string; out: string }> {
    const out = temporaryFolder();
    const file = openSafetensors(whole);
    const base = join(out, 'unet.safetensors');
    // The sizes of these models are not published ones, so that their configuration has to be told.
    const configs = Object.fromEntries(Object.entries(JSON.parse(file.metadata.get(FOLDER_FILES)!) as Record<string, string>).filter(([name]) => name.startsWith('unet/')));
    await writeSafetensors(base, [...file.tensors].filter(([name]) => name.startsWith(PREFIX)).map(([name, { shape }]) => ({ name: name.slice(PREFIX.length), dtype: 'f32' as const, shape, data: file.readF32(name) })), { [FOLDER_FILES]: JSON.stringify(configs) });
    const source = sourceAt(whole, { axis: 'input', layers: (path) => path.startsWith('unet.') && path.includes('attn') });
    const { path: adapter } = await writeAdapter(source, formats['kohya']!, join(out, 'ink.safetensors'), { dtype: 'f32', note: '' });
    return { base, adapter, out: join(out, 'exports') };
  }

  test.each([['dora', 'ink-kohya'], ['lora', 'ink-lora-kohya'], ['merged', 'ink-merged'], ['diff', 'ink-diff']] as const)('as %s', async (as, name) => {
    const { base, adapter, out } = await files();
    const { ok, data } = await exportCommand({ run: adapter, base, out, as, for: 'comfyui' }, { onEvent: () => {} });
    expect([ok, (data as { files: string[] }).files]).toEqual([true, [join(out, `${name}.safetensors`)]]);
    // Nothing tells which text encoders and which autoencoder belong to it, so there is no picture here or elsewhere.
    expect([existsSync(join(out, `${name}.workflow.json`)), existsSync(join(out, `${name}.exported.png`))]).toEqual([false, false]);
    if (as === 'merged') expect([...openSafetensors(join(out, `${name}.safetensors`)).tensors.keys()]).toEqual([...openSafetensors(base).tensors.keys()]);
  });

  test('cannot paint, which is told where it is asked for', async () => {
    const { base, adapter, out } = await files();
    await refusalOf('model.missing-part', () => exportCommand({ run: adapter, base, out, for: 'comfyui', sample: true }, { onEvent: () => {} }));
  });
});

test('a file that is not there is no run', async () => {
  const error = await refusalOf('export.missing', () => exportCommand({ run: join(temporaryFolder(), 'nothing.safetensors'), base: goldenPath('checkpoints', 'sd15.safetensors') }, { onEvent: () => {} }));
  expect(String(error)).toContain('nothing.safetensors');
});
