// Paints pictures with a model and trained values: text -> latent (sampler with classifier-free guidance) -> pixels.
import { createBuilder } from '../graph/builder.ts';
import { f32, type DeviceTensor, type HostTensor, type Program } from '../runtime/runtime.ts';
import type { Encoded } from './condition.ts';
import { Autoencoder, ShapedPrograms, TextEncoders } from './encoders.ts';
import { buildCondition } from './condition.ts';
import { toF32 } from './model-folder.ts';
import { pictureNoise, startSampler, type PictureSettings, type RoundedValues } from './preview.ts';
import type { OpenRun } from './run-job.ts';

export interface Picture {
  /** Rows from the top, RGB. */
  readonly rgb: Uint8Array;
  readonly width: number;
  readonly height: number;
}

type PainterRun = Pick<OpenRun, 'job' | 'model' | 'modelFolder' | 'plan' | 'runtime'>;

export class Painter {
  private readonly run: PainterRun;
  private readonly programs: ShapedPrograms;
  private readonly autoencoder: Autoencoder;
  private readonly text: TextEncoders;
  private readonly denoisers = new Map<string, Promise<Program>>();
  private readonly prompts = new Map<string, Encoded>();

  constructor(run: PainterRun) {
    this.run = run;
    this.programs = new ShapedPrograms(run.runtime, run.modelFolder);
    this.autoencoder = new Autoencoder(run.model, this.programs);
    this.text = new TextEncoders(run.model, run.modelFolder, this.programs);
  }

  async paint(values: RoundedValues, settings: PictureSettings): Promise<Picture> {
    const { model } = this.run;
    const { width, height, guidance, seed } = settings;
    const shape = [1, model.latent.channels, height / model.latent.factor, width / model.latent.factor];
    const size = shape.reduce((a, b) => a * b, 1);
    const sampling = startSampler(this.run, settings.sampler, settings.steps);
    const uploaded = new Map([...values].map(([name, tensor]) => [name, this.run.runtime.upload(tensor)]));
    try {
      const isGuided = guidance !== 1;
      const prompts = isGuided ? [settings.negative, settings.prompt] : [settings.prompt];
      const condition = await this.condition(uploaded, prompts, settings);
      const program = await this.denoiser(prompts.length, shape);
      let x: Float32Array = pictureNoise(seed, size, 'start').map((value) => value * sampling.initialSigma);
      for (let i = 0; i < sampling.timesteps.length; i++) {
        const input = sampling.modelInput(x, i);
        const answer = await this.predict(program, uploaded, condition, input, sampling.timesteps[i]!, prompts.length, shape);
        const guided = isGuided ? guide(answer, guidance) : answer;
        x = sampling.step(guided, x, i, () => pictureNoise(seed, size, 'step', i));
      }
      const pixels = await this.autoencoder.decode(x, shape);
      return { rgb: toRgb(pixels, width, height), width, height };
    } finally {
      for (const tensor of uploaded.values()) tensor.dispose();
    }
  }

  async dispose(): Promise<void> {
    await this.programs.dispose();
    for (const program of this.denoisers.values()) await (await program).dispose();
    this.denoisers.clear();
  }

  /** Feeds of the condition. Untrained text encoders run once per prompt. */
  private async condition(values: ReadonlyMap<string, DeviceTensor>, prompts: readonly string[], { width, height }: PictureSettings): Promise<Map<string, HostTensor>> {
    const rows = prompts.length;
    const encoded = this.run.plan.trainsText ? await this.encodeTrained(values, prompts) : await Promise.all(prompts.map((prompt) => this.encode(prompt)));
    const join = (parts: readonly Float32Array[]): Float32Array => Float32Array.from(parts.flatMap((part) => [...part]));
    const feeds = new Map<string, HostTensor>([['context', f32(join(encoded.map(({ context }) => context)), [rows, ...encoded[0]!.contextShape])]]);
    const types = this.run.model.condition(encoded[0]!.contextShape[0]);
    if (types.pooled) feeds.set('pooled', f32(join(encoded.map(({ pooled }) => pooled!)), [rows, ...types.pooled]));
    if (types.timeIds) feeds.set('timeIds', f32(Float32Array.from(prompts.flatMap(() => [height, width, 0, 0, height, width])), [rows, 6]));
    return feeds;
  }

  private async encode(prompt: string): Promise<Encoded> {
    const known = this.prompts.get(prompt);
    if (known) return known;
    const [encoded] = await this.text.encode([prompt]);
    this.prompts.set(prompt, encoded!);
    return encoded!;
  }

  private async encodeTrained(values: ReadonlyMap<string, DeviceTensor>, prompts: readonly string[]): Promise<Encoded[]> {
    const { model, runtime, plan } = this.run;
    const rows = prompts.length;
    const program = await this.program(`text ${rows}`, () => {
      const g = createBuilder(plan.builder);
      return g.graph({ ...buildCondition(g, model, rows) });
    });
    const feeds = new Map([...values, ...[...this.text.feeds(prompts)].map(([name, tensor]) => [name, runtime.upload(tensor)] as const)]);
    const result = await program.run(feeds);
    const context = toF32((await result.get('context')!.read()) as Float32Array);
    const pooled = result.has('pooled') ? toF32((await result.get('pooled')!.read()) as Float32Array) : null;
    const [, tokens, width] = result.get('context')!.shape as [number, number, number];
    const row = (all: Float32Array, i: number): Float32Array => all.slice((i * all.length) / rows, ((i + 1) * all.length) / rows);
    return prompts.map((_, i) => ({ context: row(context, i), contextShape: [tokens, width], pooled: pooled && row(pooled, i) }));
  }

  private denoiser(rows: number, shape: readonly number[]): Promise<Program> {
    const { model, plan } = this.run;
    return this.program(`denoise ${rows} ${shape.join('x')}`, () => {
      const g = createBuilder(plan.builder);
      const tokens = model.textEncoders[0]!.length;
      const types = model.condition(tokens);
      const compute = (value: ReturnType<typeof g.input>) => (g.compute === 'f32' ? value : g.cast(value, { to: g.compute }));
      const inputs = g.region('condition', () => ({
        sample: compute(g.input('sample', [rows, ...shape.slice(1)])),
        context: compute(g.input('context', [rows, ...types.context])),
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

  private program(key: string, build: () => ReturnType<ReturnType<typeof createBuilder>['graph']>): Promise<Program> {
    const known = this.denoisers.get(key);
    if (known) return known;
    const program = this.run.runtime.compile(build(), { weights: this.run.modelFolder.weights, name: key });
    this.denoisers.set(key, program);
    return program;
  }

  private async predict(program: Program, values: ReadonlyMap<string, DeviceTensor>, condition: ReadonlyMap<string, HostTensor>, input: Float32Array, timestep: number, rows: number, shape: readonly number[]): Promise<Float32Array> {
    const { runtime } = this.run;
    const sample = new Float32Array(rows * input.length);
    for (let row = 0; row < rows; row++) sample.set(input, row * input.length);
    const host = new Map([...condition, ['sample', f32(sample, [rows, ...shape.slice(1)])] as const, ['timestep', f32(new Float32Array(rows).fill(timestep), [rows])] as const]);
    const feeds = new Map([...values, ...[...host].map(([name, tensor]) => [name, runtime.upload(tensor)] as const)]);
    const result = (await program.run(feeds)).get('prediction')!;
    const prediction = toF32((await result.read()) as Float32Array).slice();
    result.dispose();
    return prediction;
  }
}

/** Classifier-free guidance: rows are without and with the prompt. */
function guide(answer: Float32Array, guidance: number): Float32Array {
  const half = answer.length / 2;
  return Float32Array.from({ length: half }, (_, i) => answer[i]! + guidance * (answer[half + i]! - answer[i]!));
}

/** Planes [3,H,W] in [−1,1] to interleaved bytes. */
export function toRgb(pixels: Float32Array, width: number, height: number): Uint8Array {
  const plane = width * height;
  return Uint8Array.from({ length: 3 * plane }, (_, i) => Math.round(Math.min(1, Math.max(0, (pixels[(i % 3) * plane + Math.floor(i / 3)]! + 1) / 2)) * 255));
}
