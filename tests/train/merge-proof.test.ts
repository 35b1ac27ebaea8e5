// The proof of a merged model sees what is wrong with it, in every layout of the base, and then nothing is left.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { encodeTensor } from '../../src-main/files/convert.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { openWeights } from '../../src-main/files/sharded.ts';
import { writeSafetensors, type TensorToWrite } from '../../src-main/files/safetensors-write.ts';
import { exportCommand, type ExportRequest } from '../../src-main/train/export-command.ts';
import type { ExportSource } from '../../src-main/train/export-source.ts';
import { saveMerged, weightsOfSource } from '../../src-main/train/merge.ts';
import { MergeProver, proofText, proveUntouched } from '../../src-main/train/merge-proof.ts';
import { formats } from '../../src-main/catalog/formats/index.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { writeAdapter } from '../../src-main/train/write-adapter.ts';
import { refusalOf, temporaryFolder } from '../files/temporary.ts';
import { goldenPath } from '../nn/golden.ts';
import { asCheckpoint } from './as-checkpoint.ts';
import { sourceAt } from './random-source.ts';
import { jobAt, train, usePlace } from './run.ts';

const place = usePlace();
const quiet = { onEvent: () => {} };
const runtime = createOnnxRuntime({ device: 'cpu', threads: 1 });
const bases = { sd15: goldenPath('checkpoints', 'sd15.safetensors'), sdxl: goldenPath('checkpoints', 'sdxl.safetensors') };

async function merged(source: ExportSource, dtype: 'f32' | 'f16' | 'bf16' | 'stored', change = (weights: ReturnType<typeof weightsOfSource>['weights']) => weights) {
  const target = join(temporaryFolder(), 'merged');
  const { weights, dispose } = weightsOfSource(source, runtime, 'f32');
  try {
    return { target, weights, ...await saveMerged(source, change(weights), { target, dtype, title: 'test' }) };
  } finally {
    await dispose();
  }
}

describe.each(Object.entries(bases))('merged into a %s checkpoint', (_, base) => {
  test.each([['input', 'f32'], ['output', 'bf16'], [null, 'f16'], ['input', 'stored']] as const)('magnitudes per %s, in %s: every layer is what was trained', async (axis, dtype) => {
    const source = sourceAt(base, { axis });
    const { proof } = await merged(source, dtype);
    expect(proof.layers.map(({ path }) => path).sort()).toEqual(source.layers.map(({ path }) => `${path}.weight`).sort());
    expect(proof.compared).toBe(1);
    expect(proof.worst!.error).toBe(Math.max(...proof.layers.map(({ error }) => error)));
    // Rounding to 8 or 11 digits of two shows, that of f32 does not.
    if (dtype === 'f32') expect(proof.worst!.error).toBeLessThan(1e-4);
    else if (dtype !== 'stored') expect(proof.overall).toBeGreaterThan(1e-5);
  });

  test('what was merged on the other axis, or with another strength, is refused, and the earlier file stays', async () => {
    const source = sourceAt(base, { axis: 'input' });
    const { target, weights } = await merged(source, 'stored');
    const before = readFileSync(`${target}.safetensors`);
    const wrong = { ...source, axis: 'output' as const, values: sourceAt(base, { axis: 'output' }).values };
    const twice = { ...source, scale: source.scale * 1.05 };
    for (const other of [wrong, twice]) {
      const spoilt = weightsOfSource(other, runtime, 'f32');
      const mixed = spoilt.weights.map((weight, i) => ({ ...weight, exact: weights[i]!.exact, axis: weights[i]!.axis }));
      const error = await refusalOf('export.not-trained', () => saveMerged(source, mixed, { target, dtype: 'stored', title: 'test' }));
      expect(error.message).toMatch(/differs from what was trained by/);
      await spoilt.dispose();
    }
    expect(readFileSync(`${target}.safetensors`)).toEqual(before);
    expect(readdirSync(join(target, '..'))).toEqual(['merged.safetensors']);
  });
});

test('a base that is named by the index of its shards becomes shards with an index, in which the same weights lie', async () => {
  const folder = temporaryFolder();
  const whole = openSafetensors(bases.sd15);
  const names = [...whole.tensors.keys()];
  const shardOf = (name: string): string => `model-0000${names.indexOf(name) < names.length / 3 ? 1 : 2}-of-00002.safetensors`;
  for (const shard of new Set(names.map(shardOf))) {
    await writeSafetensors(join(folder, shard), names.filter((name) => shardOf(name) === shard).map((name): TensorToWrite => ({ name, ...whole.tensors.get(name)!, data: whole.read(name).bytes })), whole.metadata);
  }
  const index = join(folder, 'model.safetensors.index.json');
  writeFileSync(index, JSON.stringify({ weight_map: Object.fromEntries(names.map((name) => [name, shardOf(name)])) }));
  const [one, many] = [await merged(sourceAt(bases.sd15, { axis: 'input' }), 'stored'), await merged(sourceAt(index, { axis: 'input' }), 'stored')];
  expect(many.path).toBe(`${many.target}.safetensors.index.json`);
  expect(readdirSync(join(many.path, '..')).sort()).toEqual(['merged-model-00001-of-00002.safetensors', 'merged-model-00002-of-00002.safetensors', 'merged.safetensors.index.json']);
  const [single, sharded] = [openSafetensors(one.path), openWeights(many.path)];
  expect([...sharded.tensors.keys()].sort()).toEqual([...names].sort());
  for (const name of names) expect(sharded.read(name).bytes).toEqual(single.read(name).bytes);
});

test('a change that the numbers of the file are too coarse for is told', () => {
  const told = (overall: number): string => proofText(2, { overall, worst: { path: 'unet.a.weight', error: 1.5 }, layers: [], compared: 1 });
  expect(told(1.1)).toMatch(/to 110 % of the change \(150 % in "unet\.a\.weight"\)\. So much is lost by rounding/);
  expect(told(0.003)).toMatch(/to 0\.30 % of the change/);
  expect(told(0.003)).not.toMatch(/rounding/);
});

test('one wrong weight among many, wherever it is, is found in a small model', async () => {
  const source = sourceAt(bases.sd15, { axis: null });
  const { weights, target } = await merged(source, 'f32');
  const file = openSafetensors(`${target}.safetensors`);
  const layer = weights.find(({ path }) => path.endsWith('attn1.to_k.weight'))!;
  const component = source.baseModel.stored.get('unet')!;
  const { tensor, shape } = component.parameters.get(layer.path.slice('unet.'.length))!;
  const values = file.readF32(tensor);
  values[values.length - 3]! *= 1.01;
  const path = join(temporaryFolder(), 'spoilt.safetensors');
  const tensors = [...file.tensors].map(([name, { dtype, shape: own }]): TensorToWrite => ({ name, dtype, shape: own, data: name === tensor ? encodeTensor(values, 'f32') : file.read(name).bytes }));
  await writeSafetensors(path, tensors);
  expect(shape).toEqual(layer.shape);
  const prove = (file: string) => new MergeProver(weights, {}).weights([{ weight: layer, base: component, written: { file: openSafetensors(file), parameters: component.parameters } }], 'x');
  await expect(prove(`${target}.safetensors`)).resolves.toBeUndefined();
  await refusalOf('export.not-trained', () => prove(path));
});

test('a large model is compared in some vectors of every layer', async () => {
  const source = sourceAt(bases.sd15, { axis: 'input' });
  const { weights, target } = await merged(source, 'f32');
  const costly = weights.map((weight) => ({ ...weight, cost: 1e9 }));
  const component = source.baseModel.stored.get('unet')!;
  const prover = new MergeProver(costly, {});
  const own = costly.filter(({ path }) => path.startsWith('unet.'));
  const written = { file: openSafetensors(`${target}.safetensors`), parameters: component.parameters };
  await prover.weights(own.map((weight) => ({ weight, base: component, written })), 'x');
  const { compared, layers } = prover.result();
  expect(layers).toHaveLength(own.length);
  expect(compared).toBeLessThan(1);
  expect(compared).toBeGreaterThan(0.05);
});

test('a tensor that is missing or changed beside those that were merged is found', async () => {
  const target = join(temporaryFolder(), 'merged');
  const base = openSafetensors(bases.sd15);
  const others = [...base.tensors].map(([name, { dtype, shape }]): TensorToWrite => ({ name, dtype, shape, data: base.read(name).bytes }));
  const missing = join(temporaryFolder(), 'missing.safetensors');
  await writeSafetensors(missing, others.slice(1));
  expect(() => proveUntouched(base, openSafetensors(missing), () => false, target)).toThrow(/is not in it/);
  const zero = join(temporaryFolder(), 'zero.safetensors');
  await writeSafetensors(zero, others.map((tensor, i) => (i === 0 ? { ...tensor, data: new Uint8Array((tensor.data as Uint8Array).length) } : tensor)));
  expect(() => proveUntouched(base, openSafetensors(zero), () => false, target)).toThrow(/differs/);
  expect(() => proveUntouched(base, openSafetensors(zero), (name) => name === others[0]!.name, target)).not.toThrow();
});

describe('a picture is painted with the merged model by itself', () => {
  const request = (run: string, more: Partial<ExportRequest>): ExportRequest => ({ run, sample: true, as: 'merged', ...more });

  test('a folder, from a run', async () => {
    const preview = { prompts: ['a red house'], steps: 3, guidance: 2, seed: 5 };
    const { folder } = await train(place, jobAt(place, { name: 'ink', adapter: { kind: 'dora', targets: 'attention', rank: 3, alpha: 2 }, output: { for: 'comfyui', dtype: 'f16' }, preview, train: { steps: 3 } }));
    const out = temporaryFolder();
    const { data, text } = await exportCommand(request(folder, { out, dtype: 'f32' }), quiet);
    const [{ pictures }] = (data as { proofs: [{ pictures: { trained: string; exported: string; worst: number } }] }).proofs;
    expect(pictures.worst).toBeLessThanOrEqual(1);
    expect(text).toMatch(/pixels differ by at most [01] of 255/);
    for (const file of [pictures.trained, pictures.exported]) expect(existsSync(file)).toBe(true);
    const stored = JSON.parse(readFileSync(join(out, 'ink-merged.proof.json'), 'utf8')) as { layers: object; pictures: object; ok: boolean };
    expect(stored).toMatchObject({ ok: true, pictures: { trained: 'ink-merged.trained.png', exported: 'ink-merged.exported.png' } });
    expect(Object.keys(stored.layers).length).toBeGreaterThan(4);
  });

  test('a checkpoint, from an adapter file', async () => {
    const base = await asCheckpoint(place.model, join(temporaryFolder(), 'base.safetensors'));
    const { path } = await writeAdapter(sourceAt(base, { axis: 'input' }), formats['kohya']!, join(temporaryFolder(), 'ink.safetensors'), { dtype: 'f32', note: '' });
    const out = temporaryFolder();
    const { data } = await exportCommand(request(path, { base, out, dtype: 'f32' }), quiet);
    const [{ pictures }] = (data as { proofs: [{ pictures: { worst: number } }] }).proofs;
    expect(pictures.worst).toBeLessThanOrEqual(1);
    expect(readdirSync(out).sort()).toEqual(['ink-merged.exported.png', 'ink-merged.safetensors', 'ink-merged.safetensors.proof.json', 'ink-merged.trained.png', 'ink-merged.workflow.json']);
  });
});
