import { assert } from '../base/errors.ts';
import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';

export interface TextStates {
  readonly context: Value;
  readonly pooled?: Value;
}

/** What several text encoders say together: contexts [B,T,D1], [B,T,D2] ... side by side, and the one pooled state. */
export function joinText(g: Builder, outputs: readonly TextStates[]): TextStates {
  const [first] = outputs;
  assert(first, 'no text encoder');
  const pooled = outputs.flatMap((output) => (output.pooled ? [output.pooled] : []));
  assert(pooled.length <= 1, 'more than one pooled state');
  const context = outputs.length === 1 ? first.context : g.concat(outputs.map((output) => output.context), { axis: 2 });
  return pooled[0] ? { context, pooled: pooled[0] } : { context };
}
