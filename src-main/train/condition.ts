// Prompts on their way to the denoiser: tokens, and what the text encoders make of them.
// B batch, T tokens, D channels of the context
import type { Model, TextOutputs } from '../catalog/define/family.ts';
import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';

/** Token ids of a prompt for one text encoder, padded to its length. */
export interface Tokens {
  readonly ids: readonly number[];
  /** Position of the end token. */
  readonly end: number;
}

export interface Encoded {
  /** [T,D] */
  readonly context: Float32Array;
  readonly contextShape: readonly [number, number];
  readonly pooled: Float32Array | null;
}

export interface Prompt {
  readonly text: string;
  /** By component name of the text encoder. */
  readonly tokens: ReadonlyMap<string, Tokens>;
  readonly encoded: Encoded | null;
}

/**
 * Runs all text encoders of a model on fed ids (`ids.<component>` [B,T], `end.<component>` [B]). Contexts of several
 * encoders stand side by side along their channels; the pooled vector is that of the last encoder that has one.
 */
export function buildCondition(g: Builder, model: Model, rows: number): TextOutputs {
  const outputs = model.textEncoders.map(({ component, length, build }) =>
    build(g, g.input(`ids.${component}`, [rows, length], 'i64'), g.input(`end.${component}`, [rows], 'i64')));
  const pooled = outputs.findLast((output) => output.pooled)?.pooled;
  const contexts: Value[] = outputs.map((output) => output.context);
  const context = contexts.length === 1 ? contexts[0]! : g.region('text.join', () => g.concat(contexts, { axis: 2 }));
  return pooled ? { context, pooled } : { context };
}
