// Painting with one model and many sets of weights: what was learnt is fed, not compiled in, so that a model is opened and
// compiled once for all checkpoints, strengths and adapters of a base.
import { f32ToF16 } from '../base/half.ts';
import type { Shape } from '../base/shape.ts';
import type { Builder, BuilderOptions, Layer } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { bareLayer, withBias } from '../nn/low-rank.ts';
import { f32, type HostTensor } from '../runtime/runtime.ts';
import type { ChosenRuntime } from './choose-runtime.ts';
import { roundTrained, trainedScale } from './export-values.ts';
import { mergedFile, mergedWeights } from './merged-weights.ts';
import { namedModel } from './named-model.ts';
import { noiseOf } from './noise-of.ts';
import { openBase } from './open-model.ts';
import { chooseCheckpoint, openRun, openSavedValues } from './open-run.ts';
import { adapterOfRun, factsOfAdapter, type PaintedFrom } from './painted-with.ts';
import { Painter } from './painter.ts';
import type { Picture, PictureSettings } from './picture.ts';
import { readAdapter } from './read-adapter.ts';
import { asJob } from './told-base.ts';

interface Change {
  readonly shape: Shape;
  /** The weight of a layer, which is fed in the element type that is computed with; other parameters are fed in f32. */
  readonly isLayer: boolean;
}

/** What to paint with: a base, and values of some of its parameters. */
export interface PaintingSubject extends PaintedFrom {
  /** Parameters that may differ from the base, by path. */
  readonly changes: ReadonlyMap<string, Change>;
  /** base + strength · (learnt − base) of those that do; f32. */
  weights(strength: number): Promise<ReadonlyMap<string, Float32Array>>;
}

const changedName = (path: string): string => `changed:${path}`;

export class PaintingSession {
  private readonly chosen: ChosenRuntime;
  private readonly shouldStop: () => boolean;
  private open: { readonly key: string; readonly subject: PaintingSubject; readonly painter: Painter } | null = null;

  /** @param shouldStop asked before each step of a picture */
  constructor(chosen: ChosenRuntime, shouldStop: () => boolean) {
    this.chosen = chosen;
    this.shouldStop = shouldStop;
  }

  /** A picture of a subject with its `weights`. Error: `PAINTING_STOPPED`. */
  async paint(subject: PaintingSubject, weights: ReadonlyMap<string, Float32Array>, settings: PictureSettings): Promise<Picture> {
    const { painter, subject: { changes, baseModel } } = await this.openFor(subject);
    const values = [...changes].map(([path, { shape, isLayer }]): [string, HostTensor] => {
      const data = weights.get(path) ?? baseModel.readF32(path);
      if (!isLayer) return [path, f32(data, shape)];
      return [changedName(path), this.chosen.compute === 'f16' ? { dtype: 'f16', shape, data: f32ToF16(data) } : f32(data, shape)];
    });
    const [picture] = await painter.paint(new Map(values), [settings]);
    return picture!;
  }

  async dispose(): Promise<void> {
    const before = this.open;
    this.open = null;
    await before?.painter.dispose();
  }

  /** Opens a model anew only where the one that is open has another base, or keeps fixed what the subject changes. */
  private async openFor(subject: PaintingSubject): Promise<NonNullable<PaintingSession['open']>> {
    const { model, baseModel, noise, changes } = subject;
    const key = JSON.stringify([baseModel.root, [...baseModel.stored.keys()].map((component) => baseModel.identity(component)), noise]);
    if (this.open?.key === key && [...changes.keys()].every((path) => this.open!.subject.changes.has(path))) return this.open;
    await this.dispose();
    const { runtime, compute } = this.chosen;
    const builder: BuilderOptions = {
      compute, storedDType: baseModel.storedDType,
      trains: (path) => changes.get(path)?.isLayer === false,
      transform: (g: Builder, layer: Layer): Value | null => {
        const path = `${layer.path}.weight`;
        if (changes.get(path)?.isLayer !== true) return null;
        return withBias(g, layer, bareLayer(g, { ...layer, weight: g.input(changedName(path), layer.weight.shape, compute) }, layer.x));
      },
    };
    const trainsText = [...changes.keys()].some((path) => model.textEncoders.some(({ component }) => path.startsWith(`${component}.`)));
    return this.open = { key, subject, painter: new Painter({ model, baseModel, noise, runtime, builder, trainsText, shouldStop: this.shouldStop }) };
  }
}

/** What a run has learnt at a step, rounded as an export rounds it; at step 0 its base model. Errors: those of opening the run. */
export function subjectOfRun(path: string, step: number | undefined, chosen: ChosenRuntime): PaintingSubject {
  const run = openRun(path, chosen);
  const { plan, model, baseModel, job } = run;
  const changes = new Map<string, Change>(plan.adapter === null
    ? plan.tensors.map(({ name, shape }) => [name, { shape, isLayer: false }])
    : plan.layers.map((layer) => [`${layer.path}.weight`, { shape: layer.shape, isLayer: true }]));
  const learnt = async (): Promise<Map<string, Float32Array>> => {
    if (step === 0) return new Map();
    const saved = openSavedValues(chooseCheckpoint(run, step).path);
    const rounded = roundTrained(new Map(plan.tensors.map(({ name }) => [name, saved(name)])), trainedScale(job), job.output.dtype);
    const merged = new Map<string, Float32Array>();
    for await (const { path: parameter, merge } of mergedWeights(run)) merged.set(parameter, await merge((name) => rounded.get(name)!));
    return merged;
  };
  return {
    model, baseModel, noise: noiseOf(job, model), changes, weights: atStrength(learnt, (parameter) => baseModel.readF32(parameter)),
    base: job.base, clipSkip: job.base.clipSkip ?? null, adapters: adapterOfRun(run, step ?? chooseCheckpoint(run, step).step),
  };
}

/** A base model with adapter files, in whatever layouts they are. Errors: those of opening the model and the adapters. */
export function subjectOfAdapters(base: string, adapters: readonly string[], { runtime }: ChosenRuntime): PaintingSubject {
  const job = asJob({ base });
  const { baseModel, model } = openBase(job);
  const named = namedModel(baseModel.files, model.denoiserComponent);
  const files = adapters.map((path) => readAdapter(path, named));
  const changes = new Map(files.flatMap(({ layers }) => layers.map(({ path }) => [`${path}.weight`, { shape: named.layers.get(path)!, isLayer: true }] as const)));
  const learnt = async (): Promise<Map<string, Float32Array>> => {
    const sums = new Map<string, Float32Array>();
    for (const file of files) {
      for await (const { path, merged } of mergedFile(file, baseModel, runtime, named.layers)) {
        const known = sums.get(path);
        if (known) blend(known, merged, baseModel.readF32(path), 1);
        else sums.set(path, merged);
      }
    }
    return sums;
  };
  return {
    model, baseModel, noise: noiseOf(job, model), changes, weights: atStrength(learnt, (path) => baseModel.readF32(path)),
    base: job.base, clipSkip: null, adapters: files.map((file, at) => factsOfAdapter(adapters[at]!, file)),
  };
}

/** What was learnt is merged once for all strengths. */
function atStrength(learnt: () => Promise<Map<string, Float32Array>>, baseOf: (path: string) => Float32Array): PaintingSubject['weights'] {
  let merged: Promise<Map<string, Float32Array>> | null = null;
  return async (strength) => {
    const whole = await (merged ??= learnt());
    if (strength === 1) return whole;
    return new Map([...whole].map(([path, values]) => {
      const base = baseOf(path).slice();
      blend(base, values, base, strength);
      return [path, base];
    }));
  };
}

/** into += strength · (values − base); `into` may be the base itself. */
function blend(into: Float32Array, values: Float32Array, base: Float32Array, strength: number): void {
  for (let i = 0; i < into.length; i++) into[i]! += strength * (values[i]! - base[i]!);
}
