// What exactly one step computes, on one device: files in, file out.
import { existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { UserError } from '../base/errors.ts';
import { sameShape, showShape, sizeOf, type Shape } from '../base/shape.ts';
import { adapters } from '../catalog/adapters/index.ts';
import type { Adapter } from '../catalog/define/adapter.ts';
import type { Model } from '../catalog/define/family.ts';
import { detectModel } from '../catalog/families/index.ts';
import { defaultSettings } from '../contract/fields.ts';
import type { Job } from '../contract/job.ts';
import type { Builder, Layer, LayerTransform } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { openSafetensors } from '../files/safetensors.ts';
import { shown } from '../files/safetensors-header.ts';
import { writeSafetensors, type TensorToWrite } from '../files/safetensors-write.ts';
import type { WeightFile } from '../files/weight-file.ts';
import { f32, type HostTensor } from '../runtime/runtime.ts';
import { DOWN, MAGNITUDE, UP } from '../nn/low-rank.ts';
import { chooseRuntime } from './choose-runtime.ts';
import { openModel, type OpenModel } from './open-model.ts';
import { namedModel } from './named-model.ts';
import { readAdapter, type ReadAdapter } from './read-adapter.ts';
import { PREDICTION, runSingleStep, singleStepGraph, type StepShapes } from './single-step.ts';
import { gradientName, LOSS } from './step-graph.ts';

export interface ProbeRequest {
  /** Checkpoint, or model folder in the diffusers layout, or its denoiser's folder or weight file. */
  readonly base: string;
  readonly adapter?: string;
  /** `sample` [B,C,H,W], `timestep` [B], `encoder_hidden_states` [B,T,D], optional `text_embeds` [B,P], `time_ids` [B,6], `target` [B,C,H,W]. */
  readonly input: string;
  readonly output: string;
  readonly device: string;
  readonly dtype: string;
}

export interface ProbeResult {
  readonly text: string;
  readonly data: unknown;
}

/**
 * Writes `prediction`, with a target `loss` (mean squared error), with an adapter `grad.<key>` for each of its tensors.
 * Errors: `probe.*`, `adapter.*`, `model.*`, `device.*` and those of the files.
 */
export async function probeCommand(request: ProbeRequest): Promise<ProbeResult> {
  const { runtime, compute, scalesLoss } = await chooseRuntime({ train: { device: request.device, dtype: request.dtype } as Job['train'] });
  const folder = openModel(rootOf(request.base));
  const model = detectModel(folder.files);
  const adapter = request.adapter === undefined ? null : readAdapter(request.adapter, namedModel(folder.files, model.denoiserComponent));
  const inputs = readInputs(openSafetensors(request.input), model);
  const options = { compute, storedDType: folder.storedDType, ...(adapter ? { transform: transformOf(adapter) } : {}) };
  const { graph, leaves } = singleStepGraph(model, inputs.shapes, options, scalesLoss && adapter !== null);
  checkFit(leaves, folder);
  if (adapter) checkUse(adapter, leaves, model);

  const results = await runSingleStep(runtime, graph, folder.weights, new Map([...inputs.tensors, ...(adapter?.values ?? [])]));
  const written = [...outputsOf(results, inputs.shapes), ...(adapter && results.has(LOSS) ? gradientsOf(results, adapter, request.adapter!) : [])];
  await writeSafetensors(request.output, written, { format: 'pt', device: runtime.device, dtype: compute });

  const loss = results.get(LOSS)?.[0] ?? null;
  const gradients = written.length - (loss === null ? 1 : 2);
  const untold = `prediction (the input has no "target", so there is no loss${adapter ? ' and no gradient' : ''})`;
  const text = `${model.label} on ${runtime.device} in ${compute}: ${loss === null ? untold : `loss ${loss.toPrecision(7)}`}` +
    `${gradients > 0 ? `, gradients of ${gradients} tensors` : ''}; written to ${request.output}` +
    `${inputs.unused.length > 0 ? `. Not used of the input: ${inputs.unused.map((name) => `"${shown(name)}"`).join(', ')}` : ''}`;
  return { text, data: { device: runtime.device, dtype: compute, loss, gradients, output: request.output, unused: inputs.unused } };
}

/** The model folder, also when its denoiser's folder or a file in it was named; a checkpoint stands for itself. */
function rootOf(base: string): string {
  if (!existsSync(base)) return base;
  const folder = statSync(base).isDirectory() ? base : dirname(base);
  return existsSync(join(folder, 'config.json')) ? dirname(resolve(folder)) : base;
}

interface Inputs {
  readonly shapes: StepShapes;
  readonly tensors: ReadonlyMap<string, HostTensor>;
  /** Names of the file that a step has no use for. */
  readonly unused: readonly string[];
}

function readInputs(file: WeightFile, model: Model): Inputs {
  const shapeOf = (name: string, text: string, fits: (shape: Shape) => boolean): Shape => {
    const shape = file.tensors.get(name)?.shape;
    if (!shape) throw new UserError('probe.no-input', `"${file.path}" has no tensor "${name}" ${text}, which a step of this model needs.`, { path: file.path, name });
    if (!fits(shape)) throw new UserError('probe.input-shape', `"${name}" in "${file.path}" is ${showShape(shape)} and would have to be ${text}.`, { path: file.path, name, shape });
    return shape;
  };
  const sample = shapeOf('sample', '[batch,channels,height,width]', (shape) => shape.length === 4 && sizeOf(shape) > 0);
  const batch = sample[0]!;
  shapeOf('timestep', `[${batch}]`, (shape) => sameShape(shape, [batch]));
  const width = model.condition(1).context[1]!;
  const context = shapeOf('encoder_hidden_states', `[${batch},tokens,${width}]`, (shape) => shape.length === 3 && shape[0] === batch && shape[1]! > 0 && shape[2] === width);
  const types = model.condition(context[1]!);
  const exact = (name: string, shape: Shape): Shape => shapeOf(name, showShape(shape), (found) => sameShape(found, shape));
  const pooled = types.pooled ? exact('text_embeds', [batch, ...types.pooled]) : undefined;
  const timeIds = types.timeIds ? exact('time_ids', [batch, ...types.timeIds]) : undefined;
  const hasTarget = file.tensors.has('target');
  if (hasTarget) exact('target', sample);

  const fed: [name: string, key: string, shape: Shape | undefined][] = [
    ['sample', 'sample', sample], ['timestep', 'timestep', [batch]], ['context', 'encoder_hidden_states', context],
    ['pooled', 'text_embeds', pooled], ['timeIds', 'time_ids', timeIds], ['target', 'target', hasTarget ? sample : undefined],
  ];
  const tensors = new Map(fed.flatMap(([name, key, shape]) => (shape ? [[name, f32(file.readF32(key), shape)] as const] : [])));
  const used = new Set(fed.flatMap(([, key, shape]) => (shape ? [key] : [])));
  const unused = [...file.tensors.keys()].filter((name) => !used.has(name));
  return { unused, shapes: { sample, context, ...(pooled ? { pooled } : {}), ...(timeIds ? { timeIds } : {}), hasTarget }, tensors };
}

/** Inputs of wrong extents would ask for weights of other shapes than the model has. */
function checkFit(leaves: ReadonlyMap<string, Value>, folder: OpenModel): void {
  for (const { leaf, shape } of leaves.values()) {
    if (leaf!.kind !== 'weight') continue;
    const cut = leaf!.name.indexOf('.');
    const stored = folder.files.get(leaf!.name.slice(0, cut))?.tensors.get(leaf!.name.slice(cut + 1));
    if (stored && !sameShape(stored.shape, shape)) {
      throw new UserError('probe.input-shape', `"sample" does not fit the model: "${leaf!.name}" is ${showShape(stored.shape)} and would have to be ${showShape(shape)}. Check its number of channels.`, { name: leaf!.name, shape: stored.shape });
    }
  }
}

/** Puts the adapter's layers in place of the model's, with the file's strength folded into B as `readAdapter` does. */
function transformOf({ layers, axis }: ReadAdapter): LayerTransform {
  const known = new Map(layers.map((layer) => [layer.path, layer]));
  return (g: Builder, layer: Layer): Value | null => {
    const found = known.get(layer.path);
    if (!found) return null;
    const adapter = (found.hasMagnitude ? adapters.dora : adapters.lora) as unknown as Adapter;
    const settings = { ...defaultSettings(adapter.fields), rank: found.rank, alpha: found.rank, ...(axis ? { axis } : {}) } as never;
    const parameters = adapter.parameters({ kind: layer.kind, path: layer.path, shape: layer.weight.shape }, settings);
    return adapter.apply(g, layer, Object.fromEntries(parameters.map(({ name, shape }) => [name, g.trainable(`${layer.path}.${name}`, shape)])), settings, null);
  };
}

/** A step runs the denoiser alone, so that an adapter of the text encoder would have no gradient. */
function checkUse({ layers }: ReadAdapter, leaves: ReadonlyMap<string, Value>, model: Model): void {
  const unused = layers.map(({ path }) => path).filter((path) => !leaves.has(`${path}.${DOWN}`));
  if (unused.length === 0) return;
  const names = `${unused.slice(0, 3).map((path) => `"${path}"`).join(', ')}${unused.length > 3 ? ` and ${unused.length - 3} more` : ''}`;
  throw new UserError('probe.unused-layers', `A step of the ${model.denoiserComponent} does not use the layers ${names} of the adapter: give an adapter of the ${model.denoiserComponent} alone.`, { unused });
}

function outputsOf(results: ReadonlyMap<string, Float32Array>, { sample: [batch, , height, width] }: StepShapes): TensorToWrite[] {
  const prediction = results.get(PREDICTION)!;
  const loss = results.get(LOSS);
  return [
    { name: PREDICTION, dtype: 'f32', shape: [batch!, prediction.length / (batch! * height! * width!), height!, width!], data: prediction },
    ...(loss ? [{ name: LOSS, dtype: 'f32' as const, shape: [], data: loss }] : []),
  ];
}

/** Gradients of the file's own tensors, in their shapes: that of B is of B before the strength was folded into it. */
function gradientsOf(results: ReadonlyMap<string, Float32Array>, { layers, keys }: ReadAdapter, path: string): TensorToWrite[] {
  const { tensors } = openSafetensors(path);
  return layers.flatMap(({ path: layer, scale }) => [DOWN, UP, MAGNITUDE].flatMap((part): TensorToWrite[] => {
    const name = `${layer}.${part}`;
    const key = keys.get(name);
    if (key === undefined) return [];
    const { shape } = tensors.get(key)!;
    // A tensor without influence has the gradient zero.
    const data = results.get(gradientName(name)) ?? new Float32Array(sizeOf(shape));
    return [{ name: gradientName(key), dtype: 'f32', shape, data: part === UP ? data.map((value) => value * scale) : data }];
  }));
}
