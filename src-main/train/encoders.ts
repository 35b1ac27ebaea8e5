// The frozen helpers of training: autoencoder and text encoders as functions on host arrays. Programs are compiled per
// shape when first needed; `dispose` gives their memory back once everything is encoded.
import type { ClipTokenizer } from '../catalog/tokenizers/clip-bpe.ts';
import { tokenizers } from '../catalog/tokenizers/index.ts';
import type { Model, TextEncoder } from '../catalog/define/family.ts';
import { createBuilder, type Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { f32, i64, type DeviceTensor, type HostTensor, type Runtime } from '../runtime/runtime.ts';
import { ProgramsByKey } from './programs-by-key.ts';
import { buildCondition, type Encoded, type Tokens } from './condition.ts';
import { toF32, type ModelFolder } from './model-folder.ts';

/** Programs by shape, with one run function. */
export class ShapedPrograms {
  private readonly runtime: Runtime;
  private readonly folder: ModelFolder;
  private readonly programs = new ProgramsByKey();

  constructor(runtime: Runtime, folder: ModelFolder) {
    this.runtime = runtime;
    this.folder = folder;
  }

  /** Builds and compiles at the first use of `key`; feeds and disposes; gives outputs on the host. */
  async run(key: string, build: (g: Builder) => Record<string, Value>, feeds: Readonly<Record<string, HostTensor>>): Promise<Map<string, Float32Array>> {
    const program = this.programs.get(key, () => {
      const g = createBuilder({ storedDType: this.folder.storedDType });
      return this.runtime.compile(g.graph(build(g)), { weights: this.folder.weights, name: key });
    });
    const tensors = new Map<string, DeviceTensor>(Object.entries(feeds).map(([name, tensor]) => [name, this.runtime.upload(tensor)]));
    const results = await (await program).run(tensors);
    const host = new Map<string, Float32Array>();
    for (const [name, tensor] of results) {
      host.set(name, toF32((await tensor.read()) as Float32Array).slice());
      tensor.dispose();
    }
    for (const tensor of tensors.values()) tensor.dispose();
    return host;
  }

  async dispose(): Promise<void> {
    await this.programs.dispose();
  }
}

/** pixels [n,3,H,W] in [−1,1] -> moments [n,2C,h,w]; and back from raw latents. */
export class Autoencoder {
  private readonly model: Model;
  private readonly programs: ShapedPrograms;

  constructor(model: Model, programs: ShapedPrograms) {
    this.model = model;
    this.programs = programs;
  }

  async encode(pixels: Float32Array, shape: readonly number[]): Promise<Float32Array> {
    const result = await this.programs.run(`encode ${shape.join('x')}`, (g) => ({ moments: g.add(this.model.encode(g, g.input('pixels', shape)), 0) }), { pixels: f32(pixels, shape) });
    return result.get('moments')!;
  }

  /** @param latents in the denoiser's units, [n,C,h,w] */
  async decode(latents: Float32Array, shape: readonly number[]): Promise<Float32Array> {
    const { scale, shift } = this.model.latent;
    const raw = latents.map((value) => value / scale + shift);
    const result = await this.programs.run(`decode ${shape.join('x')}`, (g) => ({ pixels: this.model.decode(g, g.input('latents', shape)) }), { latents: f32(raw, shape) });
    return result.get('pixels')!;
  }
}

export class TextEncoders {
  private readonly model: Model;
  private readonly programs: ShapedPrograms;
  private readonly tokenizers: ReadonlyMap<string, ClipTokenizer>;

  constructor(model: Model, folder: ModelFolder, programs: ShapedPrograms) {
    this.model = model;
    this.programs = programs;
    this.tokenizers = new Map(model.textEncoders.map((encoder) => [encoder.component, openTokenizer(folder, encoder)]));
  }

  tokens(text: string): Map<string, Tokens> {
    return new Map([...this.tokenizers].map(([component, tokenizer]) => [component, tokenizer.encode(text)]));
  }

  /** Feeds of `buildCondition` for these texts. */
  feeds(texts: readonly string[]): Map<string, HostTensor> {
    const rows = texts.length;
    const feeds = new Map<string, HostTensor>();
    for (const { component, length } of this.model.textEncoders) {
      const tokens = texts.map((text) => this.tokenizers.get(component)!.encode(text));
      feeds.set(`ids.${component}`, i64(tokens.flatMap(({ ids }) => ids), [rows, length]));
      feeds.set(`end.${component}`, i64(tokens.map(({ end }) => end), [rows]));
    }
    return feeds;
  }

  async encode(texts: readonly string[]): Promise<Encoded[]> {
    const rows = texts.length;
    const feeds = Object.fromEntries(this.feeds(texts));
    const result = await this.programs.run(`text ${rows}`, (g) => ({ ...buildCondition(g, this.model, rows) }), feeds);
    const context = result.get('context')!;
    const pooled = result.get('pooled');
    const tokens = this.model.textEncoders[0]!.length;
    const row = (all: Float32Array, i: number): Float32Array => all.slice((i * all.length) / rows, ((i + 1) * all.length) / rows);
    return texts.map((_, i) => ({
      context: row(context, i),
      contextShape: [tokens, context.length / rows / tokens],
      pooled: pooled ? row(pooled, i) : null,
    }));
  }
}

function openTokenizer(folder: ModelFolder, { tokenizer, tokenizerKind, length }: TextEncoder): ClipTokenizer {
  const json = (name: string): unknown => {
    const text = folder.readText(tokenizer, name);
    return text === null ? undefined : JSON.parse(text);
  };
  const merges = folder.readText(tokenizer, 'merges.txt');
  const config = json('tokenizer_config.json') as Record<string, unknown> | undefined;
  return tokenizers[tokenizerKind]!({ tokenizer: json('tokenizer.json'), vocab: json('vocab.json'), ...(merges === null ? {} : { merges }), ...(config ? { config } : {}) }, length);
}
