// A low-rank pair from the strongest part of a change; both matrices get equal shares of the singular values.
import type { Svd } from '../../base/linear-algebra/svd.ts';
import { DOWN, lowRankShapes, UP } from '../../nn/low-rank.ts';
import { f32, type HostTensor } from '../../runtime/runtime.ts';
import type { SourceLayer } from '../export-source.ts';

export interface Pair {
  readonly rank: number;
  readonly values: readonly (readonly [string, HostTensor])[];
  /** Squares of the change that the pair misses. */
  readonly lost: number;
}

export function pairOf({ path, shape }: Pick<SourceLayer, 'path' | 'shape'>, { u, s, v, total }: Svd): Pair {
  const rank = Math.max(1, s.length);
  const isEmpty = s.length === 0;
  const { down, up } = lowRankShapes(shape, rank);
  const columns = shape.slice(1).reduce((a, b) => a * b, 1);
  return {
    rank, lost: Math.max(0, total - s.reduce((sum, value) => sum + value * value, 0)),
    values: [
      [`${path}.${DOWN}`, f32(Float32Array.from({ length: rank * columns }, (_, i) => (isEmpty ? 0 : v[i]! * Math.sqrt(s[Math.floor(i / columns)]!))), down)],
      [`${path}.${UP}`, f32(Float32Array.from({ length: shape[0]! * rank }, (_, i) => (isEmpty ? 0 : u[i]! * Math.sqrt(s[i % rank]!))), up)],
    ],
  };
}
