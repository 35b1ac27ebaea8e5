// Normalisations compute in f32 whatever the activations are: sums of squares overflow f16.
import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { castTo } from './cast.ts';

/** Over groups of channels of x[N,C,...], with `<path>.weight` and `<path>.bias` [C]. */
export function groupNorm(g: Builder, path: string, x: Value, groups: number, eps: number): Value {
  return affine(g, path, x, x.shape[1]!, (x32, gamma, beta) => g.groupNorm(x32, gamma, beta, { groups, eps }));
}

/** Over the last axis of x[...,D], with `<path>.weight` and `<path>.bias` [D]. */
export function layerNorm(g: Builder, path: string, x: Value, eps: number): Value {
  return affine(g, path, x, x.shape.at(-1)!, (x32, gamma, beta) => g.layerNorm(x32, gamma, beta, { eps }));
}

function affine(g: Builder, path: string, x: Value, size: number, norm: (x: Value, gamma: Value, beta: Value) => Value): Value {
  const gamma = g.param(`${path}.weight`, [size], 'f32');
  const beta = g.param(`${path}.bias`, [size], 'f32');
  return castTo(g, norm(castTo(g, x, 'f32'), gamma, beta), x.dtype);
}
