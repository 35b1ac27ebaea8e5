// Every style recipe is a valid job, and other trainers' settings keep what their strength depends on.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readJobFile } from '../../../src-main/app/job-file.ts';
import { catalogFields } from '../../../src-main/catalog/index.ts';
import { importers } from '../../../src-main/catalog/importers/index.ts';
import { issueLine } from '../../../src-main/contract/issue.ts';
import { parseJob } from '../../../src-main/contract/parse-job.ts';
import { canonicalKey, otherKind } from '../../../src-main/catalog/define/foreign-keys.ts';
import { shrink } from '../../../src-main/train/adapter-tools/resize.ts';

const folder = join(import.meta.dirname, '../../../assets/recipes/styles');

describe('style recipes', () => {
  it.each(readdirSync(folder))('%s is a job', async (name) => {
    const { job } = await readJobFile(join(folder, name), catalogFields());
    expect(job.adapter.kind).toBe('dora');
    const comment = readFileSync(join(folder, name), 'utf8').split('\n').filter((line) => line.startsWith('#')).join('\n');
    expect(comment).toMatch(/^# Source: /m);
    expect(comment).toMatch(/DoRA/);
  });
});

const adapterOf = (raw: Record<string, unknown>) => {
  const found = Object.values(importers).find((importer) => importer.detect(raw))!;
  const { job, left } = found.convert(raw, null);
  const parsed = parseJob(job, catalogFields());
  if (!parsed.ok) throw new Error(parsed.issues.map(issueLine).join('\n'));
  return { job: parsed.job as unknown as { adapter: Record<string, unknown>; optimizer: Record<string, unknown> }, left };
};

describe('imported settings', () => {
  it('keep rank, alpha and rates of kohya, and list the rest', () => {
    const { job, left } = adapterOf({ general: { pretrained_model_name_or_path: 'a.safetensors', network_module: 'lycoris.kohya', network_dim: 16, network_alpha: 4, unet_lr: 0.0003, network_args: ['dora_wd=True', 'wd_on_output=False'], max_train_steps: 800, scale_weight_norms: 9 } });
    expect(job.adapter).toMatchObject({ kind: 'dora', rank: 16, alpha: 4, axis: 'input' });
    expect(job.optimizer['learningRate']).toBe(0.0003);
    expect(left).toEqual(['scale_weight_norms = 9']);
  });
  it('keep alpha 1 of OneTrainer, also when it is left out', () => {
    const { job } = adapterOf({ training_method: 'LORA', lora_rank: 16, learning_rate: 0.0003, lora_decompose: true });
    expect(job.adapter).toMatchObject({ kind: 'dora', rank: 16, alpha: 1, axis: 'input' });
  });
  it('keep rank and alpha of ai-toolkit', () => {
    const { job } = adapterOf({ config: { name: 'x', process: [{ network: { type: 'lora', linear: 32, linear_alpha: 8 }, train: { lr: 1e-4, steps: 10 } }] } });
    expect(job.adapter).toMatchObject({ kind: 'lora', rank: 32, alpha: 8 });
  });
});

describe('foreign names', () => {
  it.each([
    ['unet.down_blocks.0.attn1.processor.to_q_lora.down.weight', 'unet.down_blocks.0.attn1.to_q.lora_A.weight'],
    ['unet.mid_block.attn1.processor.to_out_lora.up.weight', 'unet.mid_block.attn1.to_out.0.lora_B.weight'],
    ['base_model.model.mid_block.attn1.to_q.lora_A.default.weight', 'unet.mid_block.attn1.to_q.lora_A.default.weight'],
    ['lora_unet_mid_block_x.magnitude', 'lora_unet_mid_block_x.dora_scale'],
    ['lora_unet_mid_block_x.lora_down.weight', 'lora_unet_mid_block_x.lora_down.weight'],
  ])('%s', (key, expected) => expect(canonicalKey(key)).toBe(expected));
  it('tell other kinds', () => expect(otherKind(['lora_unet_x.hada_w1_a'])).toMatch(/LoHa/));
});

describe('a resized layer', () => {
  it('keeps a change of rank 1 exactly', () => {
    const [up, down] = [Float32Array.of(1, 2, 2, 4, 3, 6), Float32Array.of(1, -1, 2, 0.5, -0.5, 1)];
    const { layer, lost } = shrink({ module: 'x', rank: 2, up, upShape: [3, 2], down, downShape: [2, 3], magnitude: null }, { rank: 1 });
    expect(layer.rank).toBe(1);
    expect(lost).toBeLessThan(1e-9);
    for (let row = 0; row < 3; row++) for (let column = 0; column < 3; column++) {
      const before = up[row * 2]! * down[column]! + up[row * 2 + 1]! * down[3 + column]!;
      expect(layer.up[row]! * layer.down[column]!).toBeCloseTo(before, 5);
    }
  });
});
