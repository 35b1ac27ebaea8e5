// Paints pictures with a model: text -> latent (sampler with classifier-free guidance) -> pixels. Pictures that differ
// only in prompt and seed share each call of the model.
// n pictures, C latent channels, h w latent positions
import { disposeAll, scoped } from '../base/dispose.ts';
import { UserError } from '../base/errors.ts';
import { alphasCumprodOf } from '../catalog/noise.ts';
import type { Model, NoiseSettings, Prediction } from '../catalog/define/family.ts';
import type { Sampler, SamplerRun } from '../catalog/define/sampler.ts';
import { samplers } from '../catalog/samplers/index.ts';
import { createBuilder, type Builder, type BuilderOptions } from '../graph/builder.ts';
import type { Graph, Value } from '../graph/types.ts';
import { f32, type DeviceTensor, type HostTensor, type Program, type Runtime } from '../runtime/runtime.ts';
import { checkPicture } from './check-picture.ts';
import { buildCondition, conditionFeeds, leastCommonMultiple, type Encoded } from './condition.ts';
import { Autoencoder, ShapedPrograms, TextEncoders } from './encoders.ts';
import type { OpenModel } from './open-model.ts';
import { PAINTING_STOPPED, pictureNoise, toRgb, type Picture, type PictureSettings } from './picture.ts';
import { ProgramsByKey } from './programs-by-key.ts';
import { runToHost } from './run-to-host.ts';
import type { TrainedValues } from './trained.ts';

/** What a painter paints with. */
export interface PaintingModel {
  readonly model: Model;
  readonly baseModel: OpenModel;
  readonly runtime: Runtime;
  /** How graphs are built: element types, and an adapter if there is one. */
  readonly builder: BuilderOptions;
  /** Whether trained values reach into the text encoders. */
  readonly trainsText: boolean;
  readonly noise: { readonly noise: NoiseSettings; readonly prediction: Prediction };
  /** Noise that pictures start from and that samplers add; that of the seed if left out. */
  readonly noiseFor?: typeof pictureNoise;
  /** Asked before each step of a picture; ends painting with the error `PAINTING_STOPPED`. */
  readonly shouldStop?: () => boolean;
  /** Told of the finished latents [n,C,h,w], before they are decoded. */
  readonly onLatents?: (latents: Float32Array, shape: readonly number[]) => void;
}

/** Latent positions of all rows of one call of the model: bounds the memory of its activations. */
const POSITIONS_AT_ONCE = 8192;

/** How many pictures share a call of the model. Sides that are left out are the model's own. */
export function picturesAtOnce({ latent: { factor }, nativeSide }: Model, { width = nativeSide, height = nativeSide, guidance }: { readonly width?: number | undefined; readonly height?: number | undefined; readonly guidance: number }): number {
  const positions = (width / factor) * (height / factor) * (guidance === 1 ? 1 : 2);
  return Math.max(1, Math.floor(POSITIONS_AT_ONCE / positions));
}

export class Painter {
  private readonly parts: PaintingModel;
  private readonly autoencoder: Autoencoder;
  private readonly text: TextEncoders;
  private readonly programs = new ProgramsByKey();
  private readonly prompts = new Map<string, Encoded>();

  constructor(parts: PaintingModel) {
    this.parts = parts;
    this.autoencoder = new Autoencoder(parts.model, new ShapedPrograms(parts.runtime, parts.baseModel));
    this.text = new TextEncoders(parts.model, parts.baseModel, new ShapedPrograms(parts.runtime, parts.baseModel));
  }

  /**
   * Pictures in the order of `wanted`. A picture does not depend on the others.
   * @param values of the trained tensors that the builder asks for
   * Errors: `picture.size`, `picture.sampler`, `picture.steps`.
   */
  async paint(values: TrainedValues, wanted: readonly PictureSettings[], onProgress?: (done: number) => void): Promise<Picture[]> {
    for (const settings of wanted) checkPicture(settings, this.parts.model, this.parts.noise.noise);
    const { runtime } = this.parts;
    return scoped(async (keep) => {
      const uploaded = new Map([...values].map(([name, tensor]) => [name, keep(runtime.upload(tensor))]));
      const pictures = new Array<Picture>(wanted.length);
      let done = 0;
      for (const group of this.groups(wanted)) {
        const painted = await this.paintGroup(uploaded, group.map((index) => wanted[index]!));
        group.forEach((index, i) => void (pictures[index] = painted[i]!));
        onProgress?.((done += group.length));
      }
      return pictures;
    });
  }

  /** Gives all memory back; what is painted afterwards compiles its programs again. Encoded prompts are kept. */
  async dispose(): Promise<void> {
    await disposeAll([this.autoencoder, this.text, this.programs]);
  }

  /** Indices of pictures that go through the model together. */
  private groups(wanted: readonly PictureSettings[]): number[][] {
    const alike = new Map<string, number[]>();
    wanted.forEach(({ prompt, negative, width, height, sampler, steps, guidance }, index) => {
      const [component] = this.text.tokens(prompt).keys();
      const chunks = (text: string): number => this.text.tokens(text).get(component!)!.length;
      // Prompts of as many chunks only, so that none is lengthened for another's sake.
      const key = JSON.stringify([width, height, sampler, steps, guidance, guidance === 1 ? chunks(prompt) : leastCommonMultiple(chunks(prompt), chunks(negative))]);
      alike.set(key, [...(alike.get(key) ?? []), index]);
    });
    return [...alike.values()].flatMap((group) => {
      const most = picturesAtOnce(this.parts.model, wanted[group[0]!]!);
      // Groups of like size, so that few programs are compiled.
      const size = Math.ceil(group.length / Math.ceil(group.length / most));
      return Array.from({ length: Math.ceil(group.length / size) }, (_, i) => group.slice(i * size, (i + 1) * size));
    });
  }

  private async paintGroup(values: ReadonlyMap<string, DeviceTensor>, group: readonly PictureSettings[]): Promise<Picture[]> {
    const { width, height } = group[0]!;
    const { latents, shape } = await this.sample(values, group);
    const pixels = await this.autoencoder.decode(latents, shape);
    const pictureSize = pixels.length / group.length;
    return group.map((_, k) => ({ rgb: toRgb(pixels.subarray(k * pictureSize, (k + 1) * pictureSize), width, height), width, height }));
  }

  /** Latents [n,C,h,w] of pictures that are alike, in the denoiser's units. */
  private async sample(values: ReadonlyMap<string, DeviceTensor>, group: readonly PictureSettings[]): Promise<{ readonly latents: Float32Array; readonly shape: readonly number[] }> {
    const { model, noiseFor = pictureNoise, onLatents } = this.parts;
    const { width, height, guidance } = group[0]!;
    const count = group.length;
    const shape = [count, model.latent.channels, height / model.latent.factor, width / model.latent.factor];
    const size = shape.slice(1).reduce((a, b) => a * b, 1);
    const isGuided = guidance !== 1;
    const prompts = [...(isGuided ? group.map(({ negative }) => negative) : []), ...group.map(({ prompt }) => prompt)];
    const rows = prompts.length;
    const { feeds, tokens } = await this.condition(values, prompts, group[0]!);
    const program = await this.denoiser(rows, shape.slice(1), tokens);
    const runs = group.map((settings) => this.startSampler(settings));
    const latents: Float32Array[] = group.map(({ seed }, i) => noiseFor(seed, size, 'start').map((value) => value * runs[i]!.initialSigma));
    const timesteps = runs[0]!.timesteps;
    for (const [i, timestep] of timesteps.entries()) {
      // Lets signals and messages through.
      await new Promise((turn) => setImmediate(turn));
      if (this.parts.shouldStop?.()) throw new UserError(PAINTING_STOPPED, 'Painting was stopped; nothing was written.');
      const sample = new Float32Array(rows * size);
      latents.forEach((latent, k) => {
        const input = runs[k]!.modelInput(latent, i);
        for (let row = k; row < rows; row += count) sample.set(input, row * size);
      });
      const answer = await this.predict(program, values, feeds, sample, [rows, ...shape.slice(1)], timestep);
      runs.forEach((run, k) => {
        const part = (row: number): Float32Array => answer.slice(row * size, (row + 1) * size);
        const output = isGuided ? guide(part(k), part(count + k), guidance) : part(k);
        latents[k] = run.step(output, latents[k]!, i, () => noiseFor(group[k]!.seed, size, 'step', i));
      });
    }
    const all = joined(latents);
    onLatents?.(all, shape);
    return { latents: all, shape };
  }

  private startSampler({ sampler, steps }: PictureSettings): SamplerRun {
    const { noise, prediction } = this.parts.noise;
    return (samplers as Readonly<Record<string, Sampler>>)[sampler]!.start({ alphasCumprod: alphasCumprodOf(noise), prediction, steps });
  }

  /**
   * Feeds of the condition. Untrained text encoders run once per prompt, and go when all prompts are encoded. An empty
   * negative prompt is encoded like any other, which is what caption dropout trains and what ComfyUI does; A1111 (of SDXL)
   * and diffusers (without a negative prompt) put zeros in its place.
   */
  private async condition(values: ReadonlyMap<string, DeviceTensor>, prompts: readonly string[], { width, height }: PictureSettings): Promise<ReturnType<typeof conditionFeeds>> {
    const encoded = this.parts.trainsText ? await this.encodeTrained(values, prompts) : await this.encode(prompts);
    const { feeds, tokens } = conditionFeeds(encoded);
    // The picture is told to be whole: as large as it is painted, cut nowhere.
    if (this.parts.model.condition(tokens).timeIds) feeds.set('timeIds', f32(Float32Array.from(prompts.flatMap(() => [height, width, 0, 0, height, width])), [prompts.length, 6]));
    return { feeds, tokens };
  }

  private async encode(prompts: readonly string[]): Promise<Encoded[]> {
    const missing = [...new Set(prompts)].filter((prompt) => !this.prompts.has(prompt));
    const encoded = await this.text.encode(missing);
    missing.forEach((prompt, i) => this.prompts.set(prompt, encoded[i]!));
    if (missing.length > 0) await this.text.dispose();
    return prompts.map((prompt) => this.prompts.get(prompt)!);
  }

  private async encodeTrained(values: ReadonlyMap<string, DeviceTensor>, prompts: readonly string[]): Promise<Encoded[]> {
    const { model, runtime, builder } = this.parts;
    const program = await this.program('text', () => {
      const g = createBuilder(builder);
      return g.graph({ ...buildCondition(g, model, 1) });
    });
    const encoded: Encoded[] = [];
    for (const prompt of prompts) {
      encoded.push(await this.text.encodeWith(prompt, async (feeds) => {
        const result = await runToHost(runtime, program, feeds, values);
        return new Map([...result].map(([name, { data }]) => [name, data]));
      }));
    }
    return encoded;
  }

  private denoiser(rows: number, shape: readonly number[], tokens: number): Promise<Program> {
    const { model, builder } = this.parts;
    return this.program(`denoise ${rows}x${shape.join('x')}x${tokens}`, () => denoiserGraph(model, builder, [rows, ...shape], tokens));
  }

  private program(key: string, build: () => Parameters<Runtime['compile']>[0]): Promise<Program> {
    return this.programs.get(key, () => this.parts.runtime.compile(build(), { weights: this.parts.baseModel.weights, name: key.replaceAll(' ', '-') }));
  }

  private async predict(program: Program, values: ReadonlyMap<string, DeviceTensor>, condition: ReadonlyMap<string, HostTensor>, sample: Float32Array, shape: readonly number[], timestep: number): Promise<Float32Array> {
    const { runtime } = this.parts;
    const rows = shape[0]!;
    const feeds = new Map([...condition, ['sample', f32(sample, shape)] as const, ['timestep', f32(new Float32Array(rows).fill(timestep), [rows])] as const]);
    return (await runToHost(runtime, program, feeds, values)).get('prediction')!.data;
  }
}

/** The graph that is run at each step of a sampler. @param shape [B,C,h,w] */
export function denoiserGraph(model: Model, builder: BuilderOptions, shape: readonly number[], tokens: number): Graph {
  const g = createBuilder(builder);
  const rows = shape[0]!;
  const types = model.condition(tokens);
  const inputs = g.region('condition', () => ({
    sample: toCompute(g, g.input('sample', shape)),
    context: toCompute(g, g.input('context', [rows, ...types.context])),
  }));
  const prediction = model.denoise(g, {
    ...inputs,
    timestep: g.input('timestep', [rows]),
    ...(types.pooled ? { pooled: g.input('pooled', [rows, ...types.pooled]) } : {}),
    ...(types.timeIds ? { timeIds: g.input('timeIds', [rows, ...types.timeIds]) } : {}),
  });
  return g.graph({ prediction });
}

const toCompute = (g: Builder, value: Value): Value => (value.dtype === g.compute ? value : g.cast(value, { to: g.compute }));

/** Classifier-free guidance. */
const guide = (without: Float32Array, withPrompt: Float32Array, guidance: number): Float32Array =>
  without.map((value, i) => value + guidance * (withPrompt[i]! - value));

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.length * parts[0]!.length);
  parts.forEach((part, i) => all.set(part, i * part.length));
  return all;
}
