// `adora inspect FILE`: what a file or model folder holds, from headers and, for adapters, the norms of the layers.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../base/errors.ts';
import { showShape, sizeOf, type Shape } from '../base/shape.ts';
import type { AdapterFormat, DoraAxis } from '../catalog/define/format.ts';
import { detectModel } from '../catalog/families/index.ts';
import { shown } from '../files/safetensors-header.ts';
import { openWeights } from '../files/sharded.ts';
import type { WeightFile } from '../files/weight-file.ts';
import { DOWN, MAGNITUDE, UP } from '../nn/low-rank.ts';
import { listCheckpoints } from './checkpoint.ts';
import { productNorm } from './low-rank-norms.ts';
import { openModel } from './open-model.ts';
import { readRunJob } from './open-run.ts';
import { adapterOfFile, type AdapterFile } from './read-adapter.ts';

export interface InspectRequest {
  readonly file: string;
  /** List every tensor. */
  readonly tensors: boolean;
}

export interface InspectResult {
  readonly text: string;
  readonly data: unknown;
}

/** Errors: `inspect.missing`, those of the files. */
export async function inspectCommand({ file, tensors }: InspectRequest): Promise<InspectResult> {
  if (!existsSync(file)) throw new UserError('inspect.missing', `There is nothing at "${file}": give a .safetensors file or a model folder.`, { file });
  if (existsSync(join(file, 'job.json'))) return inspectRun(file);
  if (statSync(file).isDirectory() && !isComponent(file)) return inspectModel(file);
  const weights = openWeights(file);
  // A checkpoint of a run names its tensors as an adapter does, and has more of them.
  const adapter = weights.metadata.has('adora.checkpoint') ? null : adapterOfFile(file, weights);
  const found = adapter ? inspectAdapter(adapter) : inspectCheckpoint(file, weights);
  if (!tensors) return found;
  const lines = [...weights.tensors].map(([name, { dtype, shape }]) => `  ${shown(name)}  ${dtype} ${showShape(shape)}`);
  return { text: [found.text, ...lines].join('\n'), data: { ...(found.data as object), tensors: Object.fromEntries(weights.tensors) } };
}

const isComponent = (folder: string): boolean => {
  try {
    openWeights(folder);
    return true;
  } catch (error) {
    if (error instanceof UserError && error.code === 'files.no-weights') return false;
    throw error;
  }
};

function inspectRun(folder: string): InspectResult {
  const job = readRunJob(folder);
  const checkpoints = listCheckpoints(join(folder, 'checkpoints')).map(({ step }) => step);
  const exportsFolder = join(folder, 'exports');
  const exported = existsSync(exportsFolder) ? readdirSync(exportsFolder) : [];
  const what = job.task === 'adapter' ? job.adapter.kind : job.task;
  const text = [
    `Run "${shown(job.name)}": ${what} on ${shown(job.base.model)}, ${job.train.steps} steps`,
    `  checkpoints: ${checkpoints.join(', ') || 'none yet'}`,
    `  exports: ${exported.map(shown).join(', ') || 'none yet'}`,
  ].join('\n');
  return { text, data: { what: 'run', name: job.name, kind: what, steps: job.train.steps, checkpoints, exports: exported } };
}

function inspectModel(path: string): InspectResult {
  const { files } = openModel(path, true);
  const model = detectModel(files);
  const parts = [...files].filter(([, { tensors }]) => tensors.size > 0).map(([name, { tensors }]) => {
    const all = [...tensors.values()];
    return { name, tensors: all.length, parameters: all.reduce((sum, { shape }) => sum + sizeOf(shape), 0), dtypes: [...new Set(all.map(({ dtype }) => dtype))] };
  });
  const lines = parts.map(({ name, parameters, dtypes }) => `  ${name}: ${parameters.toLocaleString('en')} parameters, ${dtypes.join(', ')}`);
  const noise = files.has('scheduler') ? [`  predicts ${model.noise.prediction === 'v_prediction' ? 'v' : 'the noise (epsilon)'}${model.noise.zeroTerminalSnr ? ', zero terminal SNR' : ''}`] : [];
  return { text: [`Model: ${model.label}`, ...lines, ...noise].join('\n'), data: { what: 'model', label: model.label, family: model.family, parts } };
}

/** A base model in one file; any other weights with the reason why they are none. */
function inspectCheckpoint(path: string, weights: WeightFile): InspectResult {
  if (weights.metadata.has('adora.checkpoint') || !path.endsWith('.safetensors')) return inspectWeights(weights);
  try {
    return inspectModel(path);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const { text, data } = inspectWeights(weights);
    return { text: `${text}\n  no base model: ${error.message}`, data: { ...(data as object), reason: error.message } };
  }
}

function inspectWeights({ tensors, metadata }: WeightFile): InspectResult {
  const all = [...tensors.values()];
  const parameters = all.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const dtypes = [...new Set(all.map(({ dtype }) => dtype))];
  const state = metadata.get('adora.checkpoint');
  const what = state === undefined ? 'weights' : 'checkpoint of a run';
  const step = state === undefined ? null : (JSON.parse(state) as { step: number }).step;
  const text = `${what === 'weights' ? 'Weights' : `Checkpoint of a run, step ${step}`}: ${all.length} tensors, ${parameters.toLocaleString('en')} numbers, ${dtypes.join(', ')}`;
  return { text, data: { what, step, tensors: all.length, parameters, dtypes } };
}

function inspectAdapter({ file, layout, format, modules, unknown }: AdapterFile): InspectResult {
  const layers = [...modules].map(([module, parts]) => {
    const [down, up, alpha, magnitude] = ([DOWN, UP, 'alpha', MAGNITUDE] as const).map((part) => parts.get(part));
    if (!down || !up) return { module, rank: 0, alpha: null, norm: null, magnitude: null };
    const rank = file.tensors.get(down)!.shape[0]!;
    const scale = alpha ? file.readF32(alpha)[0]! / rank : 1;
    const norm = scale * productNorm({ down: file.readF32(down), up: file.readF32(up), rank });
    const values = magnitude ? file.readF32(magnitude) : null;
    return {
      module, rank, alpha: alpha ? scale * rank : null, norm,
      magnitude: values && { shape: file.tensors.get(magnitude!)!.shape, least: values.reduce((a, b) => Math.min(a, b), Infinity), most: values.reduce((a, b) => Math.max(a, b), -Infinity) },
    };
  });
  const ranks = [...new Set(layers.map(({ rank }) => rank))].sort((a, b) => a - b);
  const isDora = layers.some(({ magnitude }) => magnitude);
  const axis = file.metadata.get('adora.dora_axis') ?? axisOfShapes(layers.flatMap(({ magnitude }) => (magnitude ? [magnitude.shape] : [])), format);
  const head = [
    `${isDora ? 'DoRA' : 'LoRA'} in the layout ${format.label}: ${layers.length} layers, rank ${ranks.join(', ')}${isDora ? `, magnitudes per ${axis ?? 'axis not stated'}` : ''}`,
    ...(unknown.length > 0 ? [`${unknown.length} tensors are unknown, first ${shown(unknown[0]!)}`] : []),
    ...['modelspec.title', 'modelspec.architecture', 'modelspec.trigger_phrase', 'adora.base', 'adora.steps', 'adora.note'].flatMap((key) => (file.metadata.has(key) ? [`${key}: ${shown(file.metadata.get(key)!)}`] : [])),
  ];
  const rows = layers.map(({ module, rank, norm, magnitude }) =>
    `  ${shown(module)}  rank ${rank}, ‖change‖ ${norm?.toPrecision(3) ?? 'incomplete'}${magnitude ? `, magnitudes ${magnitude.least.toPrecision(3)} to ${magnitude.most.toPrecision(3)}` : ''}`);
  return { text: [...head, ...rows].join('\n'), data: { what: 'adapter', layout, isDora, axis, ranks, layers, unknown, metadata: Object.fromEntries(file.metadata) } };
}

/** Without the model's weights the shapes tell, unless they are plain vectors in a layout that has both axes. */
function axisOfShapes(shapes: readonly Shape[], { axes }: AdapterFormat): DoraAxis | null {
  if (shapes.length === 0) return null;
  if (axes.length === 1) return axes[0]!;
  if (shapes.every((shape) => shape.length > 1 && shape[0] === 1)) return 'input';
  return shapes.every((shape) => shape.length > 1 && shape[1] === 1) ? 'output' : null;
}
