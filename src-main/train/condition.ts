// Prompts on their way to the denoiser: tokens, and what the text encoders make of them.
//
// A prompt longer than the text encoders take is cut into chunks; each goes through them by itself, and the states of all
// chunks stand one after the other, as ComfyUI and A1111 show prompts to the model. The pooled vector is the first chunk's.
// Prompts of different length get to one length by repeating all of their states: attention to every state twice is the
// same as to every state once, so that an example does not depend on what it is batched with.
// B batch, n chunks, T tokens, D channels of the context, P channels of the pooled vector
import type { Model, TextOutputs } from '../catalog/define/family.ts';
import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { f32, i64, type HostTensor } from '../runtime/runtime.ts';

/** Token ids of a chunk of a prompt for one text encoder, padded to its length. */
export interface Tokens {
  readonly ids: readonly number[];
  /** Position of the end token. */
  readonly end: number;
}

/** The chunks of a prompt by component name of the text encoder, as many for each. */
export type PromptTokens = ReadonlyMap<string, readonly Tokens[]>;

export interface Encoded {
  /** [n·T,D] */
  readonly context: Float32Array;
  readonly contextShape: readonly [number, number];
  readonly pooled: Float32Array | null;
}

export interface Prompt {
  readonly text: string;
  readonly tokens: PromptTokens;
  readonly encoded: Encoded | null;
}

/**
 * Runs all text encoders of a model on fed ids (`ids.<component>` [B·n,T], `end.<component>` [B·n]). Contexts of several
 * encoders stand side by side along their channels; the pooled vector is that of the last encoder that has one.
 * @returns context [B,n·T,D], pooled [B,P]
 */
export function buildCondition(g: Builder, model: Model, rows: number, chunks = 1): TextOutputs {
  const outputs = model.textEncoders.map(({ component, length, build }) =>
    build(g, g.input(`ids.${component}`, [rows * chunks, length], 'i64'), g.input(`end.${component}`, [rows * chunks], 'i64')));
  const found = outputs.findLast((output) => output.pooled)?.pooled;
  const contexts: Value[] = outputs.map((output) => output.context);
  const joined = contexts.length === 1 ? contexts[0]! : g.region('text.join', () => g.concat(contexts, { axis: 2 }));
  if (chunks === 1) return found ? { context: joined, pooled: found } : { context: joined };
  return g.region('text.join', () => {
    const [, length, width] = joined.shape as [number, number, number];
    const context = g.reshape(joined, { shape: [rows, chunks * length, width] });
    return found ? { context, pooled: firstOfEach(g, found, rows, chunks) } : { context };
  });
}

/** [B·n,P] -> [B,P] */
function firstOfEach(g: Builder, pooled: Value, rows: number, chunks: number): Value {
  const width = pooled.shape[1]!;
  const apart = g.reshape(pooled, { shape: [rows, chunks, width] });
  return g.reshape(g.slice(apart, { starts: [0, 0, 0], sizes: [rows, 1, width] }), { shape: [rows, width] });
}

/** Feeds of `buildCondition` for these prompts, and the number of chunks that all of them are brought to. */
export function tokenFeeds({ textEncoders }: Model, prompts: readonly PromptTokens[]): { readonly feeds: Map<string, HostTensor>; readonly chunks: number } {
  const chunks = prompts.map((prompt) => prompt.get(textEncoders[0]!.component)!.length).reduce(leastCommonMultiple, 1);
  const feeds = new Map<string, HostTensor>();
  for (const { component, length } of textEncoders) {
    const rows = prompts.flatMap((prompt) => repeated(prompt.get(component)!, chunks));
    feeds.set(`ids.${component}`, i64(rows.flatMap(({ ids }) => ids), [rows.length, length]));
    feeds.set(`end.${component}`, i64(rows.map(({ end }) => end), [rows.length]));
  }
  return { feeds, chunks };
}

/** Encoded prompts as feeds `context` [B,T,D] and, where there is one, `pooled` [B,P]; T is what all are brought to. */
export function conditionFeeds(prompts: readonly Encoded[]): { readonly feeds: Map<string, HostTensor>; readonly tokens: number } {
  const [first] = prompts;
  const width = first!.contextShape[1];
  const tokens = prompts.map(({ contextShape }) => contextShape[0]).reduce(leastCommonMultiple, 1);
  const context = new Float32Array(prompts.length * tokens * width);
  prompts.forEach((prompt, row) => {
    for (let at = 0; at < tokens * width; at += prompt.context.length) context.set(prompt.context, row * tokens * width + at);
  });
  const feeds = new Map([['context', f32(context, [prompts.length, tokens, width])]]);
  if (first!.pooled) {
    const size = first!.pooled.length;
    const pooled = new Float32Array(prompts.length * size);
    prompts.forEach((prompt, row) => pooled.set(prompt.pooled!, row * size));
    feeds.set('pooled', f32(pooled, [prompts.length, size]));
  }
  return { feeds, tokens };
}

/** The chunks of one prompt, encoded one by one, as a whole. */
export function joinChunks(chunks: readonly Encoded[]): Encoded {
  const [first] = chunks;
  if (chunks.length === 1) return first!;
  const context = new Float32Array(chunks.length * first!.context.length);
  chunks.forEach((chunk, i) => context.set(chunk.context, i * first!.context.length));
  const [length, width] = first!.contextShape;
  return { context, contextShape: [chunks.length * length, width], pooled: first!.pooled };
}

const repeated = <T>(values: readonly T[], count: number): T[] => Array.from({ length: count }, (_, i) => values[i % values.length]!);

export function leastCommonMultiple(a: number, b: number): number {
  let [large, small] = [a, b];
  while (small !== 0) [large, small] = [small, large % small];
  return (a / large) * b;
}
