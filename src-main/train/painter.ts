// Paints pictures with a model: text -> latent (sampler with classifier-free guidance) -> pixels. Pictures that differ
// only in prompt and seed share each call of the model.
// n pictures, C latent channels, h w latent positions
import { UserError } from '../base/errors.ts';
import { alphasCumprodOf } from '../catalog/noise.ts';
import type { Model, NoiseSettings, Prediction } from '../catalog/define/family.ts';
import type { Sampler, SamplerRun } from '../catalog/define/sampler.ts';
import { samplers } from '../catalog/samplers/index.ts';
import { createBuilder, type Builder, type BuilderOptions } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { f32, type DeviceTensor, type HostTensor, type Program, type Runtime } from '../runtime/runtime.ts';
import { buildCondition, type Encoded } from './condition.ts';
import { Autoencoder, ShapedPrograms, TextEncoders } from './encoders.ts';
import { toF32, type ModelFolder } from './model-folder.ts';
import { pictureNoise, toRgb, type Picture, type PictureSettings } from './picture.ts';
import { ProgramsByKey } from './programs-by-key.ts';
import type { TrainedValues } from './trained.ts';

/** What a painter paints with. */
export interface PaintingModel {
  readonly model: Model;
  readonly modelFolder: ModelFolder;
  readonly runtime: Runtime;
  /** How graphs are built: element types, and an adapter if there is one. */
  readonly builder: BuilderOptions;
  /** Whether trained values reach into the text encoders. */
  readonly trainsText: boolean;
  readonly noise: { readonly noise: NoiseSettings; readonly prediction: Prediction };
}

/** Latent positions of all rows of one call of the model: bounds the memory of its activations. */
const POSITIONS_AT_ONCE = 8192;

export class Painter {
  private readonly parts: PaintingModel;
  private readonly helpers: ShapedPrograms;
  private readonly autoencoder: Autoencoder;
  private readonly text: TextEncoders;
  private readonly programs = new ProgramsByKey();
  private readonly prompts = new Map<string, Encoded>();

  constructor(parts: PaintingModel) {
    this.parts = parts;
    this.helpers = new ShapedPrograms(parts.runtime, parts.modelFolder);
    this.autoencoder = new Autoencoder(parts.model, this.helpers);
    this.text = new TextEncoders(parts.model, parts.modelFolder, this.helpers);
  }

  /**
   * Pictures in the order of `wanted`. A picture does not depend on the others.
   * @param values of the trained tensors that the builder asks for
   * Errors: `picture.size`, `picture.sampler`.
   */
  async paint(values: TrainedValues, wanted: readonly PictureSettings[], onProgress?: (done: number) => void): Promise<Picture[]> {
    for (const settings of wanted) this.check(settings);
    const { runtime } = this.parts;
    const uploaded = new Map([...values].map(([name, tensor]) => [name, runtime.upload(tensor)]));
    const pictures = new Array<Picture>(wanted.length);
    let done = 0;
    try {
      for (const group of this.groups(wanted)) {
        const painted = await this.paintGroup(uploaded, group.map((index) => wanted[index]!));
        group.forEach((index, i) => void (pictures[index] = painted[i]!));
        onProgress?.((done += group.length));
      }
    } finally {
      for (const tensor of uploaded.values()) tensor.dispose();
    }
    return pictures;
  }

  async dispose(): Promise<void> {
    await this.helpers.dispose();
    await this.programs.dispose();
  }

  private check({ width, height, sampler }: PictureSettings): void {
    const step = this.parts.model.pixelStep;
    if (width % step !== 0 || height % step !== 0) {
      throw new UserError('picture.size', `A picture of ${width} x ${height} pixels cannot be painted: this model wants multiples of ${step}.`, { width, height, step });
    }
    if (!(sampler in samplers)) {
      throw new UserError('picture.sampler', `There is no sampler "${sampler}": choose one of ${Object.keys(samplers).join(', ')}.`, { sampler });
    }
  }

  /** Indices of pictures that go through the model together. */
  private groups(wanted: readonly PictureSettings[]): number[][] {
    const alike = new Map<string, number[]>();
    wanted.forEach(({ width, height, sampler, steps, guidance }, index) => {
      const key = JSON.stringify([width, height, sampler, steps, guidance]);
      alike.set(key, [...(alike.get(key) ?? []), index]);
    });
    const { factor } = this.parts.model.latent;
    return [...alike.values()].flatMap((group) => {
      const { width, height, guidance } = wanted[group[0]!]!;
      const positions = (width / factor) * (height / factor) * (guidance === 1 ? 1 : 2);
      const most = Math.max(1, Math.floor(POSITIONS_AT_ONCE / positions));
      // Groups of like size, so that few programs are compiled.
      const size = Math.ceil(group.length / Math.ceil(group.length / most));
      return Array.from({ length: Math.ceil(group.length / size) }, (_, i) => group.slice(i * size, (i + 1) * size));
    });
  }

  private async paintGroup(values: ReadonlyMap<string, DeviceTensor>, group: readonly PictureSettings[]): Promise<Picture[]> {
    const { model } = this.parts;
    const { width, height, guidance } = group[0]!;
    const count = group.length;
    const shape = [count, model.latent.channels, height / model.latent.factor, width / model.latent.factor];
    const size = shape.slice(1).reduce((a, b) => a * b, 1);
    const isGuided = guidance !== 1;
    const prompts = [...(isGuided ? group.map(({ negative }) => negative) : []), ...group.map(({ prompt }) => prompt)];
    const rows = prompts.length;
    const condition = await this.condition(values, prompts, group[0]!);
    const program = await this.denoiser(rows, shape.slice(1));
    const runs = group.map((settings) => this.startSampler(settings));
    const latents: Float32Array[] = group.map(({ seed }, i) => pictureNoise(seed, size, 'start').map((value) => value * runs[i]!.initialSigma));
    const timesteps = runs[0]!.timesteps;
    for (const [i, timestep] of timesteps.entries()) {
      const sample = new Float32Array(rows * size);
      latents.forEach((latent, k) => {
        const input = runs[k]!.modelInput(latent, i);
        for (let row = k; row < rows; row += count) sample.set(input, row * size);
      });
      const answer = await this.predict(program, values, condition, sample, [rows, ...shape.slice(1)], timestep);
      runs.forEach((run, k) => {
        const part = (row: number): Float32Array => answer.slice(row * size, (row + 1) * size);
        const output = isGuided ? guide(part(k), part(count + k), guidance) : part(k);
        latents[k] = run.step(output, latents[k]!, i, () => pictureNoise(group[k]!.seed, size, 'step', i));
      });
    }
    const pixels = await this.autoencoder.decode(joined(latents), shape);
    const pictureSize = pixels.length / count;
    return group.map((_, k) => ({ rgb: toRgb(pixels.subarray(k * pictureSize, (k + 1) * pictureSize), width, height), width, height }));
  }

  private startSampler({ sampler, steps }: PictureSettings): SamplerRun {
    const { noise, prediction } = this.parts.noise;
    return (samplers as Readonly<Record<string, Sampler>>)[sampler]!.start({ alphasCumprod: alphasCumprodOf(noise), prediction, steps });
  }

  /** Feeds of the condition. Untrained text encoders run once per prompt. */
  private async condition(values: ReadonlyMap<string, DeviceTensor>, prompts: readonly string[], { width, height }: PictureSettings): Promise<Map<string, HostTensor>> {
    const rows = prompts.length;
    const encoded = this.parts.trainsText ? await this.encodeTrained(values, prompts) : await this.encode(prompts);
    const [first] = encoded;
    const feeds = new Map<string, HostTensor>([['context', f32(joined(encoded.map(({ context }) => context)), [rows, ...first!.contextShape])]]);
    const types = this.parts.model.condition(first!.contextShape[0]);
    if (types.pooled) feeds.set('pooled', f32(joined(encoded.map(({ pooled }) => pooled!)), [rows, ...types.pooled]));
    if (types.timeIds) feeds.set('timeIds', f32(Float32Array.from(prompts.flatMap(() => [height, width, 0, 0, height, width])), [rows, 6]));
    return feeds;
  }

  private async encode(prompts: readonly string[]): Promise<Encoded[]> {
    const missing = [...new Set(prompts)].filter((prompt) => !this.prompts.has(prompt));
    // One text at a time: a single program serves any number of prompts.
    for (const prompt of missing) this.prompts.set(prompt, (await this.text.encode([prompt]))[0]!);
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
      const feeds = [...this.text.feeds([prompt])].map(([name, tensor]) => [name, runtime.upload(tensor)] as const);
      const result = await program.run(new Map([...values, ...feeds]));
      const read = async (name: string): Promise<Float32Array> => toF32((await result.get(name)!.read()) as Float32Array).slice();
      const [, tokens, width] = result.get('context')!.shape as [number, number, number];
      encoded.push({ context: await read('context'), contextShape: [tokens, width], pooled: result.has('pooled') ? await read('pooled') : null });
      for (const tensor of [...result.values(), ...feeds.map(([, fed]) => fed)]) tensor.dispose();
    }
    return encoded;
  }

  private denoiser(rows: number, shape: readonly number[]): Promise<Program> {
    const { model, builder } = this.parts;
    return this.program(`denoise ${rows}x${shape.join('x')}`, () => {
      const g = createBuilder(builder);
      const types = model.condition(model.textEncoders[0]!.length);
      const inputs = g.region('condition', () => ({
        sample: toCompute(g, g.input('sample', [rows, ...shape])),
        context: toCompute(g, g.input('context', [rows, ...types.context])),
      }));
      const prediction = model.denoise(g, {
        ...inputs,
        timestep: g.input('timestep', [rows]),
        ...(types.pooled ? { pooled: g.input('pooled', [rows, ...types.pooled]) } : {}),
        ...(types.timeIds ? { timeIds: g.input('timeIds', [rows, ...types.timeIds]) } : {}),
      });
      return g.graph({ prediction });
    });
  }

  private program(key: string, build: () => Parameters<Runtime['compile']>[0]): Promise<Program> {
    return this.programs.get(key, () => this.parts.runtime.compile(build(), { weights: this.parts.modelFolder.weights, name: key.replaceAll(' ', '-') }));
  }

  private async predict(program: Program, values: ReadonlyMap<string, DeviceTensor>, condition: ReadonlyMap<string, HostTensor>, sample: Float32Array, shape: readonly number[], timestep: number): Promise<Float32Array> {
    const { runtime } = this.parts;
    const rows = shape[0]!;
    const host = new Map([...condition, ['sample', f32(sample, shape)] as const, ['timestep', f32(new Float32Array(rows).fill(timestep), [rows])] as const]);
    const feeds = [...host].map(([name, tensor]) => [name, runtime.upload(tensor)] as const);
    const result = (await program.run(new Map([...values, ...feeds]))).get('prediction')!;
    const prediction = toF32((await result.read()) as Float32Array).slice();
    for (const tensor of [result, ...feeds.map(([, fed]) => fed)]) tensor.dispose();
    return prediction;
  }
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
