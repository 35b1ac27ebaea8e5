import type { DType } from '../base/dtype.ts';
import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';

/** `x` in another element type; `x` itself when it has that one. */
export const castTo = (g: Builder, x: Value, to: DType): Value => (x.dtype === to ? x : g.cast(x, { to }));
