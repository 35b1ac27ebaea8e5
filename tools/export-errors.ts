// Measures what exports of a run lose, as tables for docs/formats.md: npm run tool -- export-errors RUN
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { consumers } from '../src-main/catalog/consumers/index.ts';
import type { Program } from '../src-main/catalog/define/format.ts';
import { formats } from '../src-main/catalog/formats/index.ts';
import { createOnnxRuntime } from '../src-main/runtime/onnx/onnx-runtime.ts';
import { approximate } from '../src-main/train/export-lora.ts';
import { proveFile } from '../src-main/train/export-proof.ts';
import { sourceOfRun, type ExportSource } from '../src-main/train/export-source.ts';
import { chooseCheckpoint, openRun, openSavedValues } from '../src-main/train/open-run.ts';
import { writeAdapter } from '../src-main/train/write-adapter.ts';

const [path = ''] = process.argv.slice(2);
const run = openRun(path, { runtime: createOnnxRuntime({ device: 'cpu' }), compute: 'f32' });
const { step, path: checkpoint } = chooseCheckpoint(run);
const saved = openSavedValues(checkpoint);
const source = sourceOfRun(run, new Map(run.plan.tensors.map(({ name }) => [name, saved(name)])), step);
const folder = mkdtempSync(join(tmpdir(), 'adora-errors-'));
const percent = (value: number): string => `${(100 * value).toPrecision(2)} %`;
const programs = Object.keys(consumers) as Program[];
const out = (text: string): void => void process.stdout.write(`${text}\n`);

/** Errors of a file in each program, all layers together and the worst. */
async function errorsOf(held: ExportSource, dtype: 'f16' | 'bf16' | 'f32', readers: readonly Program[]): Promise<string[]> {
  const rows: string[] = [];
  for (const [layout, format] of Object.entries(formats)) {
    const own = readers.filter((program) => consumers[program].naming === format.naming);
    if (own.length === 0 || (held.axis !== null && !format.axes.includes(held.axis))) continue;
    const { path: file } = await writeAdapter(held, format, join(folder, `${layout}.safetensors`), { dtype, note: '' });
    const { programs: proved } = await proveFile(source, file, own, { allowed: () => Infinity });
    for (const { label, overall, worst } of proved) rows.push(`| ${label} | ${layout}, ${dtype} | ${percent(overall)} | ${percent(worst?.error ?? 0)} |`);
  }
  return rows;
}

try {
  out(`Magnitudes per ${source.axis ?? 'none'}, ${source.layers.length} layers.\n\n| program | file | of the change, in all | worst layer |\n|---|---|---|---|`);
  for (const dtype of ['f32', 'f16', 'bf16'] as const) for (const row of await errorsOf(source, dtype, programs)) out(row);
  // Programs that know no magnitudes take B·A alone.
  const ignored = { ...source, axis: null, values: new Map([...source.values].filter(([name]) => !name.endsWith('magnitude_vector'))) };
  out(`\nWithout magnitudes:\n${(await errorsOf(ignored, 'f32', programs.slice(0, 1))).join('\n')}`);
  const own = Math.max(...source.layers.map(({ rank }) => rank));
  out('\n| plain LoRA | ranks | left out in all | worst layer |\n|---|---|---|---|');
  for (const keep of [{ rank: own }, { rank: 2 * own }, { rank: 4 * own }, { energy: 0.9 }, { energy: 0.99 }]) {
    const { overall, worst, source: plain } = await approximate(source, keep);
    const ranks = plain.layers.map(({ rank }) => rank);
    out(`| ${'rank' in keep ? `rank ${keep.rank}` : `energy ${keep.energy}`} | ${Math.min(...ranks)} to ${Math.max(...ranks)} | ${percent(overall)} | ${percent(worst?.error ?? 0)} |`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
