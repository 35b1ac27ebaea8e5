import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { detectModel } from '../../src-main/catalog/families/index.ts';
import { encodeTensor } from '../../src-main/files/convert.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { writeSafetensors } from '../../src-main/files/safetensors-write.ts';
import { openModel } from '../../src-main/train/open-model.ts';
import { refusal, temporaryFolder } from '../files/temporary.ts';
import { usePlace } from './run.ts';

const place = usePlace();
const WEIGHTS = 'diffusion_pytorch_model.safetensors';

/** A copy of the tiny model that may be spoilt. */
function copy(): string {
  const root = join(temporaryFolder(), 'model');
  cpSync(place.model, root, { recursive: true });
  return root;
}

/** Writes the UNet's weights anew, changed. */
async function rewrite(root: string, change: (key: string, shape: readonly number[]) => { dtype: 'f32' | 'f16' | 'bf16' | 'i64'; shape?: readonly number[]; name?: string } | null): Promise<void> {
  const file = join(root, 'unet', WEIGHTS);
  const source = openSafetensors(file);
  const tensors = [...source.tensors].flatMap(([key, { shape }]) => {
    const changed = change(key, shape);
    if (!changed) return [];
    const size = (changed.shape ?? shape).reduce((a, b) => a * b, 1);
    const values = Float32Array.from({ length: size }, (_, i) => source.readF32(key)[i] ?? 0);
    const data = changed.dtype === 'i64' ? new BigInt64Array(size) : encodeTensor(values, changed.dtype, key);
    return [{ name: changed.name ?? key, dtype: changed.dtype, shape: changed.shape ?? shape, data }];
  });
  await writeSafetensors(file, tensors);
}

describe('a model', () => {
  test('is opened by its parts; weights are byte ranges of its files', () => {
    const folder = openModel(place.model);
    expect([...folder.files.keys()].sort()).toEqual(['scheduler', 'text_encoder', 'unet', 'vae']);
    const location = folder.weights('unet.conv_in.weight');
    expect(location).toMatchObject({ kind: 'file', file: join(place.model, 'unet', WEIGHTS), length: 8 * 4 * 9 * 4 });
    if (location.kind !== 'file') expect.fail();
    const bytes = readFileSync(location.file).subarray(location.offset, location.offset + location.length);
    expect(new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))).toEqual(folder.readF32('unet.conv_in.weight'));
    expect(folder.readText('tokenizer', 'merges.txt')).toContain('#version');
    expect(folder.readText('tokenizer', 'none.txt')).toBeNull();
  });

  test('may be stored as f16 or bf16', async () => {
    const root = copy();
    await rewrite(root, (key) => ({ dtype: key === 'conv_in.weight' ? 'f16' : key === 'conv_in.bias' ? 'bf16' : 'f32' }));
    const folder = openModel(root);
    expect(['unet.conv_in.weight', 'unet.conv_in.bias', 'unet.conv_out.bias'].map((path) => folder.storedDType(path))).toEqual(['f16', 'f32', 'f32']);
    expect(folder.weights('unet.conv_in.weight')).toMatchObject({ kind: 'file', length: 8 * 4 * 9 * 2 });
    // Nothing computes in bf16; its values are exact in f32, which sessions make of them.
    expect(folder.weights('unet.conv_in.bias')).toMatchObject({ kind: 'file', length: 8 * 2, isBf16: true });
  });

  test('has another identity when a weight file is another', () => {
    const root = copy();
    const identities = ['unet', 'vae', 'none'].map((part) => openModel(root).identity(part));
    expect(new Set(identities).size).toBe(3);
    utimesSync(join(root, 'vae', WEIGHTS), 1, 1);
    const changed = ['unet', 'vae', 'none'].map((part) => openModel(root).identity(part));
    expect(changed.map((identity, i) => identity === identities[i])).toEqual([true, false, true]);
  });

  test('without weights is enough to start from random ones', () => {
    const root = copy();
    rmSync(join(root, 'unet', WEIGHTS));
    expect(openModel(root, true).files.get('unet')!.tensors.size).toBe(0);
    refusal('files.no-weights', () => openModel(root));
  });
});

describe('a folder as it is downloaded', () => {
  test('may have parts that no training computes with, without weights or with damaged ones', () => {
    const root = copy();
    for (const [part, file] of [['safety_checker', 'pytorch_model.bin'], ['image_encoder', 'model.safetensors'], ['vae_decoder', 'model.onnx'], ['unet_ema', 'none']] as const) {
      mkdirSync(join(root, part));
      writeFileSync(join(root, part, 'config.json'), '{"_class_name": "Other"}');
      writeFileSync(join(root, part, file), 'PK');
    }
    expect(detectModel(openModel(root).files).label).toBe(detectModel(openModel(place.model).files).label);
    expect([...openModel(root).stored.keys()]).toEqual([...openModel(place.model).stored.keys()]);
  });

  test('may have more of a text encoder than is used', async () => {
    const root = copy();
    const file = join(root, 'text_encoder', 'model.safetensors');
    const source = openSafetensors(file);
    const own = [...source.tensors].map(([name, { shape }]) => ({ name, dtype: 'f32' as const, shape, data: source.readF32(name) }));
    await writeSafetensors(file, [...own, { name: 'text_projection.weight', dtype: 'f32', shape: [2, 2], data: new Float32Array(4) }, { name: 'text_model.embeddings.position_ids', dtype: 'i64', shape: [1, 1], data: new BigInt64Array(1) }]);
    expect(detectModel(openModel(root).files).textEncoders).toHaveLength(1);
    await writeSafetensors(file, [...own, { name: 'text_model.surprise', dtype: 'f32', shape: [2], data: new Float32Array(2) }]);
    expect(refusal('model.parameters', () => detectModel(openModel(root).files)).message).toContain('text_model.surprise');
  });

  test('may have configurations with the mark of an encoding', () => {
    const root = copy();
    const file = join(root, 'unet', 'config.json');
    writeFileSync(file, `\uFEFF${readFileSync(file, 'utf8')}`);
    expect(detectModel(openModel(root).files).family).toBe('stable-diffusion');
  });

  test('says what to name when it is a part, a cache of downloads, or a place of files', () => {
    const cache = join(temporaryFolder(), 'models--some--model');
    mkdirSync(join(cache, 'snapshots'), { recursive: true });
    cpSync(place.model, join(cache, 'snapshots', 'abc'), { recursive: true });
    expect(refusal('model.not-a-model', () => openModel(cache)).message).toContain(join('snapshots', 'abc'));
    expect(refusal('model.not-a-model', () => openModel(join(place.model, 'unet'))).message).toContain('the folder above');
    const files = temporaryFolder();
    writeFileSync(join(files, 'a.safetensors'), '');
    expect(refusal('model.not-a-model', () => openModel(files)).message).toContain(join(files, 'a.safetensors'));
  });
});

describe('what is no model', () => {
  test('a path that is not there, a file, an empty folder', () => {
    const root = temporaryFolder();
    refusal('model.missing', () => openModel(join(root, 'none')));
    writeFileSync(join(root, 'file'), '');
    refusal('safetensors.too-short', () => openModel(join(root, 'file')));
    mkdirSync(join(root, 'empty'));
    refusal('model.not-a-model', () => openModel(join(root, 'empty')));
  });

  test('a configuration that is no JSON object', () => {
    for (const text of ['{', '[]', 'null', '']) {
      const root = copy();
      writeFileSync(join(root, 'unet', 'config.json'), text);
      expect(refusal('model.bad-config', () => openModel(root)).message).toContain(join('unet', 'config.json'));
    }
  });

  test('another kind of model', () => {
    const root = copy();
    writeFileSync(join(root, 'unet', 'config.json'), JSON.stringify({ _class_name: 'FluxTransformer2DModel' }));
    expect(refusal('model.unknown', () => detectModel(openModel(root).files)).message).toContain('FluxTransformer2DModel');
    const transformer = copy();
    renameSync(join(transformer, 'unet'), join(transformer, 'transformer'));
    refusal('model.unknown', () => detectModel(openModel(transformer).files));
  });

  test('weights that are cut short, or no safetensors file', () => {
    const root = copy();
    const file = join(root, 'unet', WEIGHTS);
    const whole = readFileSync(file);
    for (const bytes of [whole.subarray(0, whole.length - 10), whole.subarray(0, 100), Buffer.alloc(0), Buffer.from('PK\u0003\u0004 a pickle')]) {
      writeFileSync(file, bytes);
      const open = (): unknown => openModel(root);
      expect(open).toThrow(expect.objectContaining({ name: 'UserError', code: expect.stringMatching(/^safetensors\.|^files\.pickle$/) as string, message: expect.stringContaining(file) as string }));
    }
  });

  test('keys and shapes that do not fit the configuration', async () => {
    const root = copy();
    await rewrite(root, (key, shape) => key === 'conv_in.bias' ? null : key === 'conv_out.bias' ? { dtype: 'f32', shape: [9] } : key === 'conv_in.weight' ? { dtype: 'f32', shape, name: 'conv_before.weight' } : { dtype: 'f32' });
    const { message, data } = refusal('model.parameters', () => detectModel(openModel(root).files));
    for (const part of ['conv_in.bias', 'conv_before.weight', 'conv_out.bias is [9] instead of [4]', 'unet/config.json']) expect(message).toContain(part);
    expect(data).toMatchObject({ part: 'unet' });
  });

  test('quantised weights', async () => {
    const root = copy();
    await rewrite(root, (key) => ({ dtype: key === 'conv_in.bias' ? 'i64' : 'f32' }));
    expect(refusal('model.dtype', () => openModel(root)).message).toContain('conv_in.bias');
  });
});
