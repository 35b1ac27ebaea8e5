// Whole differences of weights, and programs that would not take all of a file.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { formats } from '../../src-main/catalog/formats/index.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { exportCommand, type ExportRequest } from '../../src-main/train/export-command.ts';
import type { ExportSource } from '../../src-main/train/export-source.ts';
import { openModel } from '../../src-main/train/open-model.ts';
import { writeAdapter } from '../../src-main/train/write-adapter.ts';
import { refusalOf, temporaryFolder } from '../files/temporary.ts';
import { goldenPath } from '../nn/golden.ts';
import { eventsOf, jobAt, train, usePlace, type Ran } from './run.ts';
import { sourceAt } from './random-source.ts';

const place = usePlace();
const quiet = { onEvent: () => {} };
const request = (run: string, more: Partial<ExportRequest> = {}): ExportRequest => ({ run, sample: false, ...more });
const write = async (source: ExportSource): Promise<string> => (await writeAdapter(source, formats['kohya']!, join(temporaryFolder(), 'adapter.safetensors'), { dtype: 'f32', note: '' })).path;
const norm = (values: ArrayLike<number>): number => Math.sqrt(Array.from(values).reduce((sum, value) => sum + value * value, 0));

let ran: Ran;
let full: Ran;
beforeAll(async () => {
  ran = await train(place, jobAt(place, { output: { for: 'comfyui', dtype: 'f16' }, train: { steps: 2 } }));
  full = await train(place, jobAt(place, { name: 'all', adapter: { kind: 'full', targets: 'all' }, preview: { prompts: ['a red house'], steps: 2 }, output: { dtype: 'f32' }, train: { steps: 2 } }));
});

test('for all programs, those that would not take the file are left out and told; alone they are refused', async () => {
  const base = goldenPath('checkpoints', 'sdxl.safetensors');
  // A1111 changes attention of the second text encoder as a whole.
  const file = await write(sourceAt(base, { axis: 'input', layers: (path) => /attn2\.to_[kv]$/.test(path) || /text_encoder_2.*self_attn\.[qv]_proj$/.test(path) }));
  const warnings: string[] = [];
  const out = temporaryFolder();
  const { ok, data } = await exportCommand(request(file, { base, out, for: 'all' }), { onEvent: (event) => void (event.kind === 'warning' && warnings.push(event.text)) });
  const { proofs } = data as { proofs: { programs: { program: string }[] }[] };
  expect([ok, proofs.map(({ programs }) => programs.map(({ program }) => program).sort())]).toEqual([true, [['comfyui', 'forge', 'invokeai']]]);
  expect(warnings.join('\n')).toMatch(/A1111 would not take the file: .* lacks k_proj, out_proj/);
  expect(readdirSync(out).sort()).toEqual(['adapter-kohya.json', 'adapter-kohya.safetensors', 'adapter-kohya.safetensors.proof.json', 'adapter-kohya.workflow.json']);
  await refusalOf('export.refused', () => exportCommand(request(file, { base, out, for: 'a1111' }), quiet));
  // The same for differences.
  await refusalOf('export.unread-difference', () => exportCommand(request(file, { base, out, as: 'diff', for: 'a1111' }), quiet));
  warnings.length = 0;
  const whole = await exportCommand(request(file, { base, out, as: 'diff', for: 'all' }), { onEvent: (event) => void (event.kind === 'warning' && warnings.push(event.text)) });
  expect(whole.text).toContain('ComfyUI, Forge and InvokeAI find all of them');
  expect(warnings.join('\n')).toMatch(/A1111 would leave something out/);
});

test('whole fine-tuning as differences: layers, biases and norms', async () => {
  const out = temporaryFolder();
  const { ok, text, data } = await exportCommand(request(full.folder, { out, as: 'diff', for: 'all', dtype: 'f32', sample: true }), quiet);
  expect(ok).toBe(true);
  // A1111 has no name for the last norm of this kind of model.
  expect(text).toContain('ComfyUI, Forge and InvokeAI find all of them');
  expect((data as { proofs: { pictures: { worst: number } }[] }).proofs[0]!.pictures.worst).toBeLessThanOrEqual(1);
  expect(readdirSync(out).sort()).toEqual(['all-diff.exported.png', 'all-diff.json', 'all-diff.safetensors', 'all-diff.safetensors.proof.json', 'all-diff.trained.png', 'all-diff.workflow.json']);
  await refusalOf('export.unread-difference', () => exportCommand(request(full.folder, { out, as: 'diff', for: 'a1111', dtype: 'f32' }), quiet));
  const file = openSafetensors(join(out, 'all-diff.safetensors'));
  const endings = new Set([...file.tensors.keys()].map((name) => name.slice(name.indexOf('.') + 1)));
  expect([...endings].sort()).toEqual(['b_norm', 'diff', 'diff_b', 'w_norm']);
  const [base, trained] = [openModel(place.model), openModel(join(full.folder, 'exports', 'model'))];
  const [was, is] = ['unet.conv_in.weight', 'unet.conv_in.weight'].map((name, i) => (i === 0 ? base : trained).readF32(name));
  const difference = file.readF32('lora_unet_conv_in.diff');
  expect(norm(difference.map((value, i) => was![i]! + value - is![i]!)) / norm(is!)).toBeLessThan(1e-6);
  await refusalOf('export.no-adapter', () => exportCommand(request(full.folder, { as: 'lora' }), quiet));
});

test('a whole fine-tune ends with its model proved and painted', () => {
  const verdicts = eventsOf(full.events, 'verdict').map(({ name, about, ok }) => [name, about, ok]);
  expect(verdicts).toContainEqual(['export', 'merged', true]);
  expect(JSON.parse(readFileSync(join(full.folder, 'exports', 'model.proof.json'), 'utf8'))).toMatchObject({ ok: true, compared: 1 });
});

test('progress of differences ends at its total and is never beyond it', async () => {
  const told: { done: number; total: number }[] = [];
  await exportCommand(request(ran.folder, { out: temporaryFolder(), as: 'diff', for: 'comfyui', dtype: 'f32' }), { onEvent: (event) => void (event.kind === 'phase' && event.name === 'write differences' && told.push(event)) });
  expect(told.length).toBeGreaterThan(3);
  told.forEach(({ done, total }, i) => {
    expect(done).toBe(i + 1);
    expect(done).toBeLessThanOrEqual(total);
  });
  expect(told.at(-1)!.done).toBe(told.at(-1)!.total);
});
