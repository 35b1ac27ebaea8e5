// A whole model in the diffusers layout that is as small as one can be: random weights, 16 x 16 pixels.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { rng } from '../../src-main/base/rng.ts';
import { detectModel } from '../../src-main/catalog/families/index.ts';
import { catalogFields } from '../../src-main/catalog/index.ts';
import { issueLine } from '../../src-main/contract/issue.ts';
import type { Job, JobInput } from '../../src-main/contract/job.ts';
import { parseJob } from '../../src-main/contract/parse-job.ts';
import { f32, type HostTensor } from '../../src-main/runtime/runtime.ts';
import { openModel } from '../../src-main/train/open-model.ts';
import { drawStart, makePlan, type PlannedTensor } from '../../src-main/train/plan.ts';
import { saveModel } from '../../src-main/train/save-model.ts';

const recipe = join('assets', 'recipes', 'starter', 'model');

const json = (...path: string[]): Record<string, unknown> => JSON.parse(readFileSync(join(recipe, ...path), 'utf8')) as Record<string, unknown>;

function writeConfigs(root: string): void {
  const parts: Record<string, Record<string, unknown>> = {
    unet: {
      ...json('unet', 'config.json'), block_out_channels: [8, 16], norm_num_groups: 4, attention_head_dim: 2, cross_attention_dim: 16, sample_size: 8,
      down_block_types: ['CrossAttnDownBlock2D', 'DownBlock2D'], up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D'],
    },
    vae: {
      ...json('vae', 'config.json'), block_out_channels: [8, 8], norm_num_groups: 4, sample_size: 16,
      down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D'], up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D'],
    },
    text_encoder: { ...json('text_encoder', 'config.json'), hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2, projection_dim: 16 },
  };
  for (const [name, config] of Object.entries(parts)) {
    mkdirSync(join(root, name), { recursive: true });
    writeFileSync(join(root, name, 'config.json'), JSON.stringify(config));
  }
  for (const name of ['scheduler', 'tokenizer', 'model_index.json']) cpSync(join(recipe, name), join(root, name), { recursive: true });
}

/** Writes the model to `<folder>/model` and gives its path. */
export async function writeTinyModel(folder: string, dtype: 'f32' | 'f16' = 'f32'): Promise<string> {
  const configs = join(folder, 'configs');
  writeConfigs(configs);
  const baseModel = openModel(configs, true);
  const values = new Map<string, HostTensor>();
  for (const task of ['autoencoder', 'pretrain'] as const) {
    const plan = makePlan(tinyJob({ task, init: 'random', base: { model: configs } }), detectModel(baseModel.files), baseModel, 'f32');
    for (const tensor of plan.tensors) values.set(tensor.name, f32(startOf(tensor), tensor.shape));
  }
  const target = join(folder, 'model');
  await saveModel(values, { base: configs, target, dtype });
  return target;
}

/** Like a trained model: unlike in a fresh one no layer is zero, so that everything has a gradient. */
function startOf(tensor: PlannedTensor): Float32Array {
  const start = drawStart(tensor)!;
  if (tensor.shape.length < 2) return start;
  const perOutput = start.length / tensor.shape[0]!;
  return rng(1, 'tiny', tensor.name).fillNormal(start).map((value) => (1.2 * value) / Math.sqrt(perOutput));
}

/** A complete job from the keys that matter. */
export function tinyJob(job: Partial<JobInput> & Pick<JobInput, 'base'>): Job {
  const result = parseJob({
    version: 1, name: 'tiny', data: { folders: [{ path: join('assets', 'demo', 'neon') }], holdout: join('assets', 'demo', 'holdout') }, ...job,
    train: { steps: 2, batch: 2, device: 'cpu', checkpointing: false, seed: 3, ...job.train },
  }, catalogFields());
  if (!result.ok) throw new Error(result.issues.map(issueLine).join('\n'));
  return result.job;
}
