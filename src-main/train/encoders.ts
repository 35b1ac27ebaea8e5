// The frozen helpers of training: autoencoder and text encoders as functions on host arrays. Programs are compiled per
// shape when first needed; `dispose` gives their memory back once everything is encoded.
import { PUBLISHED_TOKENS, type ClipTokenizer } from '../catalog/tokenizers/clip-bpe.ts';
import { publishedFiles, tokenizers } from '../catalog/tokenizers/index.ts';
import type { Model, TextEncoder } from '../catalog/define/family.ts';
import { UserError } from '../base/errors.ts';
import { createBuilder, type Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { f32, type HostTensor, type Runtime } from '../runtime/runtime.ts';
import { ProgramsByKey } from './programs-by-key.ts';
import { buildCondition, joinChunks, tokenFeeds, type Encoded, type PromptTokens } from './condition.ts';
import type { OpenModel } from './open-model.ts';
import { runToHost } from './run-to-host.ts';

/** Programs by shape, with one run function. */
export class ShapedPrograms {
  private readonly runtime: Runtime;
  private readonly folder: OpenModel;
  private readonly programs = new ProgramsByKey();

  constructor(runtime: Runtime, folder: OpenModel) {
    this.runtime = runtime;
    this.folder = folder;
  }

  /** Builds and compiles at the first use of `key`; feeds and disposes; gives outputs on the host. */
  async run(key: string, build: (g: Builder) => Record<string, Value>, feeds: Readonly<Record<string, HostTensor>>): Promise<Map<string, Float32Array>> {
    const program = this.programs.get(key, () => {
      const g = createBuilder({ storedDType: this.folder.storedDType });
      return this.runtime.compile(g.graph(build(g)), { weights: this.folder.weights, name: key });
    });
    const results = await runToHost(this.runtime, await program, Object.entries(feeds));
    return new Map([...results].map(([name, { data }]) => [name, data]));
  }

  async dispose(): Promise<void> {
    await this.programs.dispose();
  }
}

/**
 * pixels [n,3,H,W] in [−1,1] -> moments [n,2C,h,w]; and back from raw latents. It computes in f32 whatever the denoiser
 * computes in: published autoencoders overflow in f16. Error: `vae.not-finite`.
 */
export class Autoencoder {
  private readonly model: Model;
  private readonly programs: ShapedPrograms;

  constructor(model: Model, programs: ShapedPrograms) {
    this.model = model;
    this.programs = programs;
  }

  async encode(pixels: Float32Array, shape: readonly number[]): Promise<Float32Array> {
    const result = await this.programs.run(`encode ${shape.join('x')}`, (g) => ({ moments: g.add(this.model.encode(g, g.input('pixels', shape)), 0) }), { pixels: f32(pixels, shape) });
    return finite(result.get('moments')!, 'latents');
  }

  /** @param latents in the denoiser's units, [n,C,h,w] */
  async decode(latents: Float32Array, shape: readonly number[]): Promise<Float32Array> {
    const { scale, shift } = this.model.latent;
    const raw = latents.map((value) => value / scale + shift);
    const result = await this.programs.run(`decode ${shape.join('x')}`, (g) => ({ pixels: this.model.decode(g, g.input('latents', shape)) }), { latents: f32(raw, shape) });
    return finite(result.get('pixels')!, 'pixels');
  }

  async dispose(): Promise<void> {
    await this.programs.dispose();
  }
}

function finite(values: Float32Array, what: 'latents' | 'pixels'): Float32Array {
  if (values.every(Number.isFinite)) return values;
  throw new UserError('vae.not-finite', `The autoencoder of the model gave ${what} that are no numbers, though it computes in f32: its weights are damaged. Name a good one in base.vae.`, { what });
}

/** Chunks that a prompt is given at most where nothing else is said, as in kohya's scripts. */
const MOST_CHUNKS = 3;

/**
 * Prompts are taken as they are written: brackets and numbers such as (word:1.2) are text like any other, in training and
 * in previews. Where a prompt is cut into chunks, nothing is asked of the words there, as in kohya's scripts.
 */
export class TextEncoders {
  private readonly model: Model;
  private readonly programs: ShapedPrograms;
  private readonly tokenizers: ReadonlyMap<string, ClipTokenizer>;
  private readonly maxTokens: number | 'auto';

  /** @param maxTokens of a prompt, start and end not counted; the rest is cut off */
  constructor(model: Model, folder: OpenModel, programs: ShapedPrograms, maxTokens: number | 'auto' = 'auto') {
    this.model = model;
    this.programs = programs;
    this.maxTokens = maxTokens;
    this.tokenizers = new Map(model.textEncoders.map((encoder) => [encoder.component, openTokenizer(folder, encoder)]));
  }

  /** As many chunks for each text encoder; one that needs fewer gets those of an empty prompt. */
  tokens(text: string): PromptTokens {
    const chunks = new Map([...this.tokenizers].map(([component, tokenizer]) => [component, tokenizer.encodeChunks(text, mostOf(tokenizer, this.maxTokens))]));
    const most = Math.max(...[...chunks.values()].map(({ length }) => length));
    for (const [component, own] of chunks) while (own.length < most) own.push(this.tokenizers.get(component)!.encode(''));
    return chunks;
  }

  /** Tokens that a prompt has and that are used of it, when it is too long; else null. */
  cut(text: string, maxTokens = this.maxTokens): { readonly has: number; readonly used: number } | null {
    for (const tokenizer of this.tokenizers.values()) {
      const { tokens } = tokenizer.encode(text);
      const used = mostOf(tokenizer, maxTokens);
      if (tokens > used) return { has: tokens, used };
    }
    return null;
  }

  async encode(texts: readonly string[]): Promise<Encoded[]> {
    const encoded: Encoded[] = [];
    for (const text of texts) encoded.push(await this.encodeWith(text, (feeds) => this.programs.run('text', (g) => ({ ...buildCondition(g, this.model, 1) }), Object.fromEntries(feeds))));
    return encoded;
  }

  /** A prompt chunk by chunk: a single program of one row serves all. @param run gives `context` and perhaps `pooled` */
  async encodeWith(text: string, run: (feeds: ReadonlyMap<string, HostTensor>) => Promise<ReadonlyMap<string, Float32Array>>): Promise<Encoded> {
    const tokens = this.tokens(text);
    const count = [...tokens.values()][0]!.length;
    const chunks: Encoded[] = [];
    for (let i = 0; i < count; i++) {
      const { feeds } = tokenFeeds(this.model, [new Map([...tokens].map(([component, own]) => [component, [own[i]!]]))]);
      const result = await run(feeds);
      const context = result.get('context')!;
      const { length } = this.model.textEncoders[0]!;
      chunks.push({ context, contextShape: [length, context.length / length], pooled: result.get('pooled') ?? null });
    }
    return joinChunks(chunks);
  }

  async dispose(): Promise<void> {
    await this.programs.dispose();
  }
}

const mostOf = ({ length }: ClipTokenizer, maxTokens: number | 'auto'): number => (maxTokens === 'auto' ? MOST_CHUNKS * (length - 2) : maxTokens);

/** Files without tokenizers belong to published models, which share one; the sizes must agree. Errors: `tokenizer.*`. */
function openTokenizer(folder: OpenModel, { tokenizer, tokenizerKind, length, vocabulary, padding }: TextEncoder): ClipTokenizer {
  const json = (name: string): unknown => {
    const text = folder.readText(tokenizer, name);
    if (text === null) return undefined;
    try {
      return JSON.parse(text) as unknown;
    } catch {
      throw new UserError('tokenizer.bad-json', `"${name}" of "${tokenizer}" in the model "${folder.root}" is not JSON: download the tokenizer of the model again.`, { root: folder.root, tokenizer, name });
    }
  };
  const merges = folder.readText(tokenizer, 'merges.txt');
  const own = { tokenizer: json('tokenizer.json'), vocab: json('vocab.json') };
  if (folder.isFile && own.tokenizer === undefined && own.vocab === undefined && vocabulary === PUBLISHED_TOKENS) {
    return tokenizers[tokenizerKind]!(publishedFiles[tokenizerKind]!(padding ?? PUBLISHED_TOKENS - 1), length);
  }
  const config = json('tokenizer_config.json') as Record<string, unknown> | undefined;
  return tokenizers[tokenizerKind]!({ ...own, ...(merges === null ? {} : { merges }), ...(config ? { config } : {}) }, length);
}
