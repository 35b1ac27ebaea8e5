import { copyFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openSharded, openWeights } from '../../src-main/files/sharded.ts';
import { writeSafetensors } from '../../src-main/files/safetensors-write.ts';
import { refusal, temporaryFolder } from './temporary.ts';

const INDEX = 'model.safetensors.index.json';

async function makeFolder(map?: unknown): Promise<{ folder: string; index: string }> {
  const folder = temporaryFolder();
  const tensor = (name: string, value: number) =>
    ({ name, dtype: 'f32' as const, shape: [1], data: Float32Array.of(value) });
  await writeSafetensors(join(folder, 'model-00001-of-00002.safetensors'), [tensor('a', 1), tensor('b', 2)], { x: '1' });
  await writeSafetensors(join(folder, 'model-00002-of-00002.safetensors'), [tensor('__proto__', 3), tensor('a', 9)]);
  const index = join(folder, INDEX);
  writeFileSync(index, typeof map === 'string' ? map : JSON.stringify({ metadata: { total_size: 12.5 }, weight_map: map }));
  return { folder, index };
}

const FIRST = 'model-00001-of-00002.safetensors';
const SECOND = 'model-00002-of-00002.safetensors';
const GOOD = `{"metadata":{"total_size":12},"weight_map":{"a":"${FIRST}","b":"${FIRST}","__proto__":"${SECOND}"}}`;

describe('openSharded', () => {
  it('shows the shards as one file', async () => {
    const { folder, index } = await makeFolder(GOOD);
    const file = openSharded(index);
    expect([...file.tensors.keys()].sort()).toEqual(['__proto__', 'a', 'b']);
    expect(['a', 'b', '__proto__'].map((name) => file.readF32(name)[0])).toEqual([1, 2, 3]);
    expect(file.locate('__proto__').file).toBe(join(folder, SECOND));
    expect(file.read('b').shape).toEqual([1]);
    expect(file.metadata.get('x')).toBe('1');
    expect(file.path).toBe(index);
    refusal('safetensors.no-tensor', () => file.read('constructor'));
  });

  it.each(['../x.safetensors', '/etc/x.safetensors', 'sub/x.safetensors', 'sub\\x.safetensors', 'C:x.safetensors', '..',
    '.', '', 'model.bin', 'x.safetensors\u0000', '..\\..\\x.safetensors'])('refuses the file name %j', async (name) => {
    const { index } = await makeFolder({ a: FIRST, b: name });
    refusal('safetensors.index-name', () => openSharded(index));
  });

  it('refuses keys that the shard lacks, and names key and shard', async () => {
    const { index } = await makeFolder({ a: FIRST, b: SECOND });
    const error = refusal('safetensors.index-missing-key', () => openSharded(index));
    expect(error.message).toContain('"b"');
    expect(error.message).toContain(SECOND);
  });

  it('refuses a missing or broken shard, and names it', async () => {
    const { folder, index } = await makeFolder(GOOD);
    writeFileSync(join(folder, FIRST), 'x');
    expect(refusal('safetensors.too-short', () => openSharded(index)).message).toContain(FIRST);
    rmSync(join(folder, FIRST));
    expect(refusal('files.not-found', () => openSharded(index)).message).toContain(FIRST);
  });

  it.each(['', '{', '[]', '{}', '{"weight_map":[]}', '{"weight_map":{"a":1}}', '{"weight_map":{"a":"x","a":"x"}}'])(
    'refuses the index %j', async (text) => {
      const { index } = await makeFolder(text);
      expect(refusal('safetensors.index-invalid', () => openSharded(index)).message).toContain(INDEX);
    });
});

describe('openWeights', () => {
  it('finds the weights of a folder, full precision first', async () => {
    const { folder } = await makeFolder(GOOD);
    expect(openWeights(folder).path).toBe(join(folder, INDEX));
    expect(openWeights(join(folder, INDEX)).tensors.size).toBe(3);
    expect(openWeights(join(folder, FIRST)).tensors.size).toBe(2);
    renameSync(join(folder, SECOND), join(folder, 'model.fp16.safetensors'));
    rmSync(join(folder, INDEX));
    expect(openWeights(folder).path).toBe(join(folder, 'model.fp16.safetensors'));
    renameSync(join(folder, FIRST), join(folder, 'diffusion_pytorch_model.safetensors'));
    expect(openWeights(folder).path).toBe(join(folder, 'diffusion_pytorch_model.safetensors'));
  });

  it.each([
    [['diffusion_pytorch_model.bf16.safetensors'], 0],
    [['diffusion_pytorch_model.non_ema.safetensors'], 0],
    [['diffusion_pytorch_model.bf16.safetensors', 'diffusion_pytorch_model.fp16.safetensors'], 1],
    [['model.fp16.safetensors', 'diffusion_pytorch_model.fp16.safetensors'], 1],
    [['diffusion_pytorch_model.non_ema.safetensors', 'diffusion_pytorch_model.safetensors'], 1],
    [['diffusion_pytorch_model.fp16.safetensors', 'diffusion_pytorch_model.fp32.safetensors'], 1],
  ])('chooses among variants: %j', async (names, chosen) => {
    const { folder } = await makeFolder(GOOD);
    const other = temporaryFolder();
    for (const name of names) copyFileSync(join(folder, FIRST), join(other, name));
    expect(openWeights(other).path).toBe(join(other, names[chosen]!));
  });

  it.each(['model.safetensors.index.fp16.json', 'model.fp16.safetensors.index.json', 'diffusion_pytorch_model.safetensors.index.bf16.json'])('takes the index of a variant, %s', async (name) => {
    const { folder } = await makeFolder(GOOD);
    renameSync(join(folder, INDEX), join(folder, name));
    expect(openWeights(folder).path).toBe(join(folder, name));
    expect(openWeights(folder).tensors.size).toBe(3);
  });

  it('says what is missing', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'unet'));
    mkdirSync(join(folder, 'old'));
    writeFileSync(join(folder, 'old', 'pytorch_model.bin'), 'PK');
    expect(refusal('files.no-weights', () => openWeights(join(folder, 'old'))).message).toMatch(/only "pytorch_model\.bin".*\.safetensors/);
    expect(refusal('files.no-weights', () => openWeights(folder)).message).toContain(folder);
    refusal('files.not-found', () => openWeights(join(folder, 'none')));
  });
});
