// Adapter files and the programs themselves: what PEFT, diffusers and LyCORIS compute from files of ours, and their files here.
// With ADORA_RECORD=1 the files of ours are written anew, for tests/golden/make/exports.py to load.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { rng } from '../../src-main/base/rng.ts';
import { sizeOf } from '../../src-main/base/shape.ts';
import type { DoraAxis } from '../../src-main/catalog/define/format.ts';
import { formats } from '../../src-main/catalog/formats/index.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { safetensorsBytes, type TensorToWrite } from '../../src-main/files/safetensors-write.ts';
import { lowRankShapes } from '../../src-main/nn/low-rank.ts';
import { f32, type HostTensor } from '../../src-main/runtime/runtime.ts';
import { changeOf } from '../../src-main/train/export-lora.ts';
import type { ExportSource, SourceLayer } from '../../src-main/train/export-source.ts';
import { namedModel } from '../../src-main/train/named-model.ts';
import { openModel } from '../../src-main/train/open-model.ts';
import { readAdapter } from '../../src-main/train/read-adapter.ts';
import { writeAdapter } from '../../src-main/train/write-adapter.ts';
import { temporaryFolder } from '../files/temporary.ts';
import { goldenPath } from '../nn/golden.ts';

const baseModel = openModel(goldenPath('unet', 'sd1_conv'));
const named = namedModel(baseModel.files, 'unet');
const folder = goldenPath('exports', 'ours');
const isRecording = process.env['ADORA_RECORD'] === '1';

const paths = (JSON.parse(openSafetensors(goldenPath('exports', 'theirs.io.safetensors')).metadata.get('layers')!) as string[]).map((path) => `unet.${path}`);

/** Values as training leaves them: the factor of B·A is not 1. */
function sourceOf(axis: DoraAxis | null): ExportSource {
  const values = new Map<string, HostTensor>();
  const layers = paths.map((path): SourceLayer => {
    const shape = named.layers.get(path)!;
    const { down, up } = lowRankShapes(shape, 3);
    const random = (name: string, own: readonly number[]): HostTensor => f32(rng(6, path, name).fillNormal(new Float32Array(sizeOf(own))), own);
    values.set(`${path}.lora_A.weight`, random('A', down));
    values.set(`${path}.lora_B.weight`, f32((random('B', up).data as Float32Array).map((value) => value / 8), up));
    if (axis) values.set(`${path}.lora_magnitude_vector`, magnitudes(path, shape, axis));
    return { path, shape, rank: 3, kind: shape.length === 2 ? 'linear' : 'conv' };
  });
  const facts = async () => ({
    title: 'golden', kind: 'dora', axis, rank: 3, alpha: 2, trigger: '', training: null, data: null,
    base: { name: 'sd1', architecture: 'stable-diffusion-v1', implementation: 'diffusers', kohyaVersion: 'sd_v1', isVersion2: false, prediction: 'epsilon' as const, side: 64, hashes: new Map<string, string>(), fileHash: null },
  });
  return { stem: 'golden', model: null as never, baseModel, named, layers, axis, scale: 2 / 3, values, facts };
}

function magnitudes(path: string, shape: readonly number[], axis: DoraAxis): HostTensor {
  const extent = shape[axis === 'output' ? 0 : 1]!;
  const data = rng(6, path, axis).fillNormal(new Float32Array(extent)).map((value) => 1 + Math.abs(value) / 4);
  return f32(data, shape.length === 4 ? [1, extent, 1, 1] : axis === 'output' ? [extent] : [1, extent]);
}

const cases = [
  ['lora_kohya', 'kohya', null, 'f32'], ['lora_kohya_f16', 'kohya', null, 'f16'], ['dora_input_kohya', 'kohya', 'input', 'f32'], ['dora_input_kohya_bf16', 'kohya', 'input', 'bf16'],
  ['lora_peft', 'peft', null, 'f32'], ['dora_output_peft', 'peft', 'output', 'f32'],
] as const;
const norm = (values: ArrayLike<number>): number => Math.sqrt(Array.from(values).reduce((sum, value) => sum + value * value, 0));

describe.each(cases)('%s', (name, layout, axis, dtype) => {
  const source = sourceOf(axis);
  const written = async () => openSafetensors((await writeAdapter(source, formats[layout]!, join(temporaryFolder(), 'a.safetensors'), { dtype, note: '' })).path);

  test.runIf(isRecording)('is recorded', async () => {
    const file = await written();
    mkdirSync(folder, { recursive: true });
    const tensors = [...file.tensors].map(([key, info]): TensorToWrite => ({ name: key, ...info, data: file.read(key).bytes }));
    writeFileSync(join(folder, `${name}.safetensors`), await safetensorsBytes(tensors));
  });

  test('is written as the other programs were given it', async () => {
    const [file, given] = [await written(), openSafetensors(join(folder, `${name}.safetensors`))];
    expect([...file.tensors.keys()].sort()).toEqual([...given.tensors.keys()].sort());
    for (const key of file.tensors.keys()) expect(file.read(key), key).toEqual(given.read(key));
  });

  const io = existsSync(goldenPath('exports', 'ours.io.safetensors')) ? openSafetensors(goldenPath('exports', 'ours.io.safetensors')) : null;
  const programs = [...new Set([...(io?.tensors.keys() ?? [])].filter((key) => key.startsWith(`${name}.`)).map((key) => key.split('.')[1]!))];

  test('has been loaded by the programs that read it', () => {
    expect(programs.sort()).toEqual(layout === 'kohya' ? (axis === null ? ['diffusers', 'lycoris'] : ['lycoris']) : ['diffusers']);
  });

  test.each(programs)('%s computes what was trained', async (program) => {
    for (const layer of source.layers) {
      const [change, base] = [await changeOf(source, layer), baseModel.readF32(`${layer.path}.weight`)];
      const theirs = io!.readF32(`${name}.${program}.${layer.path.slice('unet.'.length)}`);
      const error = norm(theirs.map((value, i) => value - base[i]! - change[i]!)) / norm(change);
      expect(error, layer.path).toBeLessThan({ f32: 2e-6, f16: 1e-3, bf16: 8e-3 }[dtype]);
    }
  });
});

describe.each(readdirSync(goldenPath('exports', 'theirs')).map((file) => file.replace('.safetensors', '')))('%s of another program', (name) => {
  test('means the same here', async () => {
    const read = readAdapter(goldenPath('exports', 'theirs', `${name}.safetensors`), named);
    expect(read.axis).toBe(name.endsWith('output') ? 'output' : name.endsWith('input') ? 'input' : null);
    expect(read.layers.map(({ path }) => path).sort()).toEqual([...paths].sort());
    const io = openSafetensors(goldenPath('exports', 'theirs.io.safetensors'));
    for (const { path, rank } of read.layers) {
      const shape = named.layers.get(path)!;
      const change = await changeOf({ ...sourceOf(null), values: read.values, scale: 1, axis: read.axis }, { path, rank, shape, kind: 'linear' });
      const base = baseModel.readF32(`${path}.weight`);
      const theirs = io.readF32(`${name}.${path.slice('unet.'.length)}`);
      expect(norm(theirs.map((value, i) => value - base[i]! - change[i]!)) / norm(change), path).toBeLessThan(2e-6);
    }
  });
});
