// Measures what merging into a checkpoint of SDXL's size takes beside a copy of the file, for docs/formats.md:
// npm run tool -- merge-time FOLDER [ROUNDS]. Writes 7 GB of random weights into the folder once, and as much for each result.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, fsyncSync, openSync, closeSync, readFileSync, rmSync } from 'node:fs';
import { resolve, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { engineArguments, engineEnvironment } from '../src-main/app/trainer/engine-process.ts';
import { rng } from '../src-main/base/rng.ts';
import { sizeOf } from '../src-main/base/shape.ts';
import { detectModel } from '../src-main/catalog/families/index.ts';
import { formats } from '../src-main/catalog/formats/index.ts';
import { encodeTensor } from '../src-main/files/convert.ts';
import { writeSafetensors, type TensorToWrite } from '../src-main/files/safetensors-write.ts';
import { lowRankShapes } from '../src-main/nn/low-rank.ts';
import { f32, type HostTensor } from '../src-main/runtime/runtime.ts';
import type { SourceLayer } from '../src-main/train/export-source.ts';
import { namedModel } from '../src-main/train/named-model.ts';
import { openModel } from '../src-main/train/open-model.ts';
import { writeAdapter } from '../src-main/train/write-adapter.ts';

const [where = '', rounds = '3'] = process.argv.slice(2);
if (where === '' || !existsSync(where)) throw new Error('Name a folder with room for 21 GB: npm run tool -- merge-time FOLDER [ROUNDS]');
const folder = resolve(where);
const [base, adapter] = [join(folder, 'sdxl-random.safetensors'), join(folder, 'ink.safetensors')];
const RANK = 16;
const out = (text: string): void => void process.stdout.write(`${text}\n`);

/** The keys and shapes of the published file, in f16. */
async function writeBase(): Promise<void> {
  const { ldm } = JSON.parse(gunzipSync(readFileSync('tests/golden/keys/sdxl.json.gz')).toString()) as { ldm: Readonly<Record<string, readonly number[]>> };
  const random = encodeTensor(rng(1, 'base').fillNormal(new Float32Array(1 << 22)).map((value) => value * 0.02), 'f16');
  const tensors = Object.entries(ldm).map(([name, shape]): TensorToWrite => ({
    name, shape, dtype: name.endsWith('position_ids') ? 'i64' : 'f16',
    data: async function* () {
      const length = sizeOf(shape) * (name.endsWith('position_ids') ? 8 : 2);
      for (let done = 0; done < length; done += random.length) yield random.subarray(0, Math.min(random.length, length - done));
    },
  }));
  await writeSafetensors(base, tensors);
}

/** A DoRA of the attention and feed-forward layers, magnitudes per input. */
async function writeInk(): Promise<number> {
  const baseModel = openModel(base);
  const model = detectModel(baseModel.files);
  const named = namedModel(baseModel.files, model.denoiserComponent);
  const values = new Map<string, HostTensor>();
  const layers = [...named.layers].filter(([path]) => /^unet\..*transformer_blocks.*(attn|\.ff\.)/.test(path)).map(([path, shape]): SourceLayer => {
    const { down, up } = lowRankShapes(shape, RANK);
    const random = (name: string, own: readonly number[], factor: number): HostTensor => f32(rng(2, path, name).fillNormal(new Float32Array(sizeOf(own))).map((value) => value * factor), own);
    values.set(`${path}.lora_A.weight`, random('A', down, 0.02));
    values.set(`${path}.lora_B.weight`, random('B', up, 0.02));
    values.set(`${path}.lora_magnitude_vector`, f32(new Float32Array(shape[1]!).fill(0.02 * Math.sqrt(shape[0]!)), [1, shape[1]!]));
    return { path, shape, rank: RANK, kind: 'linear' };
  });
  const facts = async () => ({
    title: 'ink', kind: 'dora', axis: 'input' as const, rank: RANK, alpha: RANK, trigger: '', training: null, data: null,
    base: { name: 'sdxl-random', ...model.knownAs, prediction: 'epsilon' as const, side: 1024, hashes: new Map<string, string>(), fileHash: null },
  });
  await writeAdapter({ layers, named, axis: 'input', scale: 1, values, facts }, formats['kohya']!, adapter, { dtype: 'f16', note: '' });
  return layers.length;
}

/** Seconds until the file is on the disk. */
function copyTime(): number {
  const to = join(folder, 'copy.safetensors');
  const start = performance.now();
  copyFileSync(base, to);
  const file = openSync(to, 'r+');
  fsyncSync(file);
  closeSync(file);
  const seconds = (performance.now() - start) / 1000;
  rmSync(to);
  return seconds;
}

function mergeTime(): { seconds: number; said: string } {
  const result = join(folder, 'results');
  const start = performance.now();
  const cli = fileURLToPath(new URL('../cli.js', import.meta.url));
  const child = spawnSync(process.execPath, [...engineArguments, cli, 'export', adapter, '--base', base, '--as', 'merged', '--out', result], { encoding: 'utf8', env: engineEnvironment('export', process.env) });
  const seconds = (performance.now() - start) / 1000;
  if (child.status !== 0) throw new Error(child.stderr + child.stdout);
  rmSync(result, { recursive: true });
  return { seconds, said: child.stdout.trim() };
}

if (!existsSync(base)) await writeBase();
if (!existsSync(adapter)) out(`${await writeInk()} layers`);
const [copies, merges]: [number[], number[]] = [[], []];
for (let i = 0; i < Number(rounds); i++) {
  copies.push(copyTime());
  const { seconds, said } = mergeTime();
  merges.push(seconds);
  out(`copy ${copies.at(-1)!.toFixed(1)} s, merge ${seconds.toFixed(1)} s${i === 0 ? `\n${said}` : ''}`);
}
const middle = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;
out(`medians: copy ${middle(copies).toFixed(1)} s, merge ${middle(merges).toFixed(1)} s, ratio ${(middle(merges) / middle(copies)).toFixed(2)}`);
