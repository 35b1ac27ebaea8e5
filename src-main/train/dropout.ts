// Dropout masks of an adapter's branches, fed to the training step: they are drawn by name, so that a resumed run and a
// recomputed region see the same ones.
import { f32ToF16 } from '../base/half.ts';
import { rng, type Rng } from '../base/rng.ts';
import { sizeOf, type Shape } from '../base/shape.ts';
import type { DType } from '../base/dtype.ts';
import { createBuilder, type BuilderOptions } from '../graph/builder.ts';
import type { HostTensor } from '../runtime/runtime.ts';
import type { BuildLoss } from './step-graph.ts';

const PREFIX = 'dropout.';
/** A random word gives two elements, of 16 bits each. */
const LEVELS = 2 ** 16;

/** Input of the step graph with the mask of a layer's input. */
export const maskName = (layer: string): string => `${PREFIX}${layer}`;

interface Mask {
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: DType;
}

/** The masks of batches: those that the step graph of a batch's shape declares. */
export class DropoutMasks {
  private readonly rate: number;
  private readonly seed: number;
  private readonly builder: BuilderOptions;
  private readonly declared = new Map<string, readonly Mask[]>();

  /** @param rate share of inputs that are left out; at 0 there are no masks and nothing is built */
  constructor(rate: number, seed: number, builder: BuilderOptions) {
    this.rate = rate;
    this.seed = seed;
    this.builder = builder;
  }

  /** Feeds for batch `index`. @param key of the batch's shape: equal keys declare equal masks */
  feeds(index: number, key: string, buildLoss: BuildLoss): Map<string, HostTensor> {
    if (this.rate === 0) return new Map();
    let masks = this.declared.get(key);
    if (!masks) {
      masks = declaredMasks(this.builder, buildLoss);
      this.declared.set(key, masks);
    }
    return new Map(masks.map(({ name, shape, dtype }) => {
      const data = drawMask(this.rate, sizeOf(shape), rng(this.seed, 'dropout', index, name.slice(PREFIX.length)));
      return [name, { dtype, shape, data: dtype === 'f16' ? f32ToF16(data) : data }];
    }));
  }
}

function declaredMasks(builder: BuilderOptions, buildLoss: BuildLoss): Mask[] {
  const g = createBuilder({ ...builder, training: true });
  buildLoss(g);
  const inputs = [...g.leaves.values()].filter(({ leaf }) => leaf!.kind === 'input' && leaf!.name.startsWith(PREFIX));
  return inputs.map(({ leaf, shape, dtype }) => ({ name: leaf!.name, shape, dtype }));
}

/** Zeros with chance `rate` (rounded to 1/65536), else what keeps the mean at 1. */
export function drawMask(rate: number, size: number, random: Rng): Float32Array {
  const limit = Math.min(LEVELS - 1, Math.round(rate * LEVELS));
  const kept = LEVELS / (LEVELS - limit);
  const mask = new Float32Array(size);
  for (let at = 0; at < size; at += 2) {
    const word = random.word();
    mask[at] = (word & (LEVELS - 1)) < limit ? 0 : kept;
    if (at + 1 < size) mask[at + 1] = word >>> 16 < limit ? 0 : kept;
  }
  return mask;
}
