// Models of known size with random weights, for measuring: configurations as in the field, weights made on the spot.
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rng } from '../base/rng.ts';
import { sizeOf } from '../base/shape.ts';
import { isRunning, writeFileAtomic } from '../files/atomic-write.ts';
import { writeSafetensors } from '../files/safetensors-write.ts';
import { createBuilder } from '../graph/builder.ts';
import { parseUNetConfig } from '../nn/unet-config.ts';
import { unet } from '../nn/unet.ts';

const DOWN = ['CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'];
const UP = ['UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D'];

const unetOf = (channels: readonly number[], context: number, size: number) => ({
  _class_name: 'UNet2DConditionModel', act_fn: 'silu', attention_head_dim: 8, block_out_channels: channels, cross_attention_dim: context,
  down_block_types: DOWN, up_block_types: UP, in_channels: 4, out_channels: 4, layers_per_block: 2, norm_num_groups: 32, sample_size: size,
});

const benchModels = {
  /** 142 M parameters. */
  u142: unetOf([128, 256, 512, 512], 512, 32),
  /** 860 M parameters, the size of Stable Diffusion 1.5. */
  sd15: unetOf([320, 640, 1280, 1280], 768, 64),
} as const;
export type BenchModel = keyof typeof benchModels;
export const isBenchModel = (name: string): name is BenchModel => Object.hasOwn(benchModels, name);

/** Values are a repeated block of normal numbers times 1/√fan-in: drawing 860 M numbers would take longer than the step. */
const BLOCK = 1 << 16;

/** With the number of the process that it belongs to. */
const FOLDER = /^adora-bench-(\d+)-/;

/** A killed process cannot remove its model of gigabytes: the next one does. */
function removeLeft(): void {
  for (const name of readdirSync(tmpdir())) {
    const owner = FOLDER.exec(name)?.[1];
    if (owner !== undefined && !isRunning(Number(owner))) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

/**
 * Writes `<folder>/unet` in f32 into a new temporary folder. The caller removes it; it also goes when the process exits
 * before, and those of dead processes go first.
 */
export async function writeRandomModel(name: BenchModel): Promise<{ readonly folder: string; remove(): void }> {
  removeLeft();
  const folder = mkdtempSync(join(tmpdir(), `adora-bench-${process.pid}-`));
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', removeFolder);
  const remove = (): void => {
    process.off('exit', removeFolder);
    removeFolder();
  };
  try {
    for (const part of ['unet', 'vae']) mkdirSync(join(folder, part));
    // Only its latents' channels are asked for; it has no weights.
    await writeFileAtomic(join(folder, 'vae', 'config.json'), JSON.stringify({
      _class_name: 'AutoencoderKL', latent_channels: 4, block_out_channels: [32], down_block_types: ['DownEncoderBlock2D'], up_block_types: ['UpDecoderBlock2D'],
    }));
    const config = benchModels[name];
    await writeFileAtomic(join(folder, 'unet', 'config.json'), JSON.stringify(config));
    const g = createBuilder();
    const parsed = parseUNetConfig(config);
    unet(g, parsed, { sample: g.input('sample', [1, 4, 8, 8]), timestep: g.input('timestep', [1]), context: g.input('context', [1, 1, config.cross_attention_dim]) });
    const block = rng(1, 'bench').fillNormal(new Float32Array(BLOCK));
    const weights = [...g.leaves.values()].filter(({ leaf }) => leaf!.kind === 'weight');
    await writeSafetensors(join(folder, 'unet', 'diffusion_pytorch_model.safetensors'), weights.map(({ leaf, shape }) => ({
      name: leaf!.name.slice('unet.'.length), dtype: 'f32' as const, shape,
      data: () => valuesOf(leaf!.name, shape, block),
    })));
    return { folder, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

function valuesOf(name: string, shape: readonly number[], block: Float32Array): Float32Array {
  const values = new Float32Array(sizeOf(shape));
  if (shape.length === 1) return name.endsWith('.weight') ? values.fill(1) : values;
  const scale = 1 / Math.sqrt(sizeOf(shape) / shape[0]!);
  for (let i = 0; i < values.length; i++) values[i] = block[i % BLOCK]! * scale;
  return values;
}
