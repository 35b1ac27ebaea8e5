// Training that goes on from an adapter file (`adapter.from`): its values become the start of the trained tensors, whatever
// program wrote it. They are kept in the run's folder, so that the run depends on the file no longer.
import { join } from 'node:path';
import { UserError } from '../base/errors.ts';
import { EXPORT } from '../contract/export-kinds.ts';
import { norms } from '../catalog/define/consumer.ts';
import type { DoraAxis } from '../catalog/define/format.ts';
import type { Shape } from '../base/shape.ts';
import type { Job } from '../contract/job.ts';
import { writeSafetensors, type TensorToWrite } from '../files/safetensors-write.ts';
import { DOWN, MAGNITUDE, UP } from '../nn/low-rank.ts';
import { axisOfRun, hashOfFiles, kindOf, type SourceLayer } from './export-source.ts';
import { trainedScale } from './export-values.ts';
import { allVectors, pieces } from './layer-part.ts';
import { namedModel } from './named-model.ts';
import type { OpenModel } from './open-model.ts';
import { drawStart, type Plan, type PlannedTensor, type PlanWarning } from './plan.ts';
import { adapterPath, readAdapter, type ReadAdapter, type ReadLayer } from './read-adapter.ts';
import { START_FILE } from './run-folder.ts';
import { START_HASH } from './start-file.ts';
import { trainedWeight } from './trained-weight.ts';
import type { OpenRun } from './run-job.ts';

type StartedRun = Pick<OpenRun, 'job' | 'plan' | 'model' | 'baseModel'>;

interface AdapterStart {
  /** Start values by the names of the plan's tensors. */
  readonly values: ReadonlyMap<string, Float32Array>;
  readonly warnings: readonly PlanWarning[];
}

/**
 * The file's values as the job trains them: B divided by the job's alpha / rank, so that the changed weights are the file's,
 * and layers of a smaller rank filled up with directions that change nothing yet. Layers that the file leaves alone start anew.
 * A LoRA can be the start of a DoRA.
 * Errors: those of `readAdapter`; `adapter.from-kind`, `adapter.from-axis`, `adapter.from-targets`, `adapter.from-rank`.
 */
function adapterStart(run: StartedRun, path: string): AdapterStart {
  const { job, plan, baseModel } = run;
  const read = readStart(run, path);
  const layers = new Map(read.layers.map((layer) => [layer.path, layer]));
  const scale = trainedScale(job);
  const shapes = new Map(plan.layers.map((layer) => [layer.path, layer.shape]));
  const wanted = axisOfRun(run);
  const values = new Map<string, Float32Array>();
  for (const tensor of plan.tensors) {
    const own = read.values.get(tensor.name);
    const layer = layers.get(layerOf(tensor.name));
    if (own) values.set(tensor.name, startOf(tensor, own.data as Float32Array, layer!.rank, scale));
    else if (layer && wanted) values.set(tensor.name, lengthsOf(baseModel, read, layer, shapes.get(layer.path)!, wanted));
  }
  return { values, warnings: warningsOf(job, plan, read.layers, path) };
}

/** The file, of which the job can train every layer. */
function readStart(run: StartedRun, path: string): ReadAdapter {
  const { job, plan, model, baseModel } = run;
  if (!plan.tensors.some(({ name }) => name.endsWith(`.${DOWN}`))) {
    throw new UserError('adapter.from-kind', `adapter.from goes with low-rank adapters, and this job trains whole weights: leave it out, or set task = "adapter" and adapter.kind to that of "${path}".`, { path });
  }
  const read = readAdapter(path, namedModel(baseModel.files, model.denoiserComponent), axisOfRun(run) ?? undefined);
  checkKind(run, read, path);
  checkTargets(job, plan, read, path);
  checkRank(job, read, path);
  return read;
}

const layerOf = (tensor: string): string => [DOWN, UP, MAGNITUDE].reduce((name, part) => (name.endsWith(`.${part}`) ? name.slice(0, -part.length - 1) : name), tensor);

/** A LoRA as a DoRA that computes the same: ‖W + s·B·A‖ along the axis, so that magnitudes change nothing yet. */
function lengthsOf(baseModel: OpenModel, { values }: ReadAdapter, { path, rank }: ReadLayer, shape: Shape, axis: DoraAxis): Float32Array {
  const base = baseModel.readF32(`${path}.weight`);
  const layer: SourceLayer = { path, rank, shape, kind: shape.length === 2 ? 'linear' : 'conv' };
  const lengths: number[] = [];
  for (const part of pieces(shape, axis, allVectors(shape, axis))) lengths.push(...norms(trainedWeight({ values, scale: 1, axis: null }, layer, part, part.takeWeight(base)), part, axis));
  return Float32Array.from(lengths);
}

function startOf(tensor: PlannedTensor, own: Float32Array, rank: number, scale: number): Float32Array {
  const { name, shape } = tensor;
  if (name.endsWith(`.${DOWN}`)) {
    // New directions are drawn as for a new layer; their columns of B are zero.
    const start = rank === shape[0] ? new Float32Array(own.length) : drawStart(tensor)!;
    start.set(own);
    return start;
  }
  if (!name.endsWith(`.${UP}`)) return own;
  const [rows, wanted] = shape as [number, number];
  const start = new Float32Array(rows * wanted);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < rank; k++) start[row * wanted + k] = own[row * rank + k]! / scale;
  }
  return start;
}

function checkKind(run: StartedRun, { axis, layers }: ReadAdapter, path: string): void {
  const wanted = axisOfRun(run);
  // A LoRA is a DoRA whose magnitudes are its lengths; without magnitudes a DoRA is no LoRA.
  if (axis === null) return;
  if (wanted === null) {
    throw new UserError('adapter.from-kind', `"${path}" is a DoRA, and the job trains a LoRA, which has no place for its magnitudes: set adapter.kind = "${kindOf(axis)}", or make it a plain LoRA with "adora export --as ${EXPORT.plain}", which measures what is lost.`, { path, kind: kindOf(axis) });
  }
  if (axis !== wanted) {
    throw new UserError('adapter.from-axis', `"${path}" has its magnitudes per ${axis} and the job trains them per ${wanted}; one cannot be computed from the other: set adapter.axis = "${axis}"${axis === 'output' ? ' and output.for = "diffusers", which applies them so' : ''}.`, { path, axis });
  }
  const without = layers.find(({ hasMagnitude }) => !hasMagnitude);
  if (without) throw new UserError('adapter.from-kind', `"${path}" has magnitudes in some layers and none in others (first "${without.path}"), which no job can train: make it a plain LoRA with "adora export --as ${EXPORT.plain}" and set adapter.kind = "${kindOf(null)}".`, { path, layer: without.path });
}

/** What the file changes and the job does not train would be lost; what the model does not use shows nowhere. */
function checkTargets(job: Job, plan: Plan, { layers }: ReadAdapter, path: string): void {
  const planned = new Set([...plan.layers.map((layer) => layer.path), ...plan.unused]);
  const lost = layers.filter((layer) => !planned.has(layer.path));
  const [first] = lost;
  if (!first) return;
  const isText = first.path.startsWith('text_encoder');
  throw new UserError('adapter.from-targets', `"${path}" also changes ${lost.length} layers that the job does not train (first "${first.path}"), and they would be lost: set ${isText && !job.adapter.textEncoder ? 'adapter.textEncoder = true' : 'adapter.targets to more layers, "linear+conv" for example'}.`, { path, layers: lost.slice(0, 100).map((layer) => layer.path) });
}

function checkRank(job: Job, { layers }: ReadAdapter, path: string): void {
  const rank = Number((job.adapter as Readonly<Record<string, unknown>>)['rank']);
  const largest = layers.reduce<ReadLayer | null>((most, layer) => (most === null || layer.rank > most.rank ? layer : most), null);
  if (!largest || largest.rank <= rank) return;
  throw new UserError('adapter.from-rank', `"${path}" has rank ${largest.rank} (in "${largest.path}") and the job ${rank}: set adapter.rank = ${largest.rank}, or make the file smaller with "adora resize FILE --rank ${rank}".`, { path, rank: largest.rank });
}

function warningsOf(job: Job, plan: Plan, layers: readonly ReadLayer[], path: string): PlanWarning[] {
  const rank = Number((job.adapter as Readonly<Record<string, unknown>>)['rank']);
  const known = new Set(layers.map((layer) => layer.path));
  const fresh = plan.layers.filter((layer) => !known.has(layer.path)).map((layer) => layer.path);
  const smaller = layers.filter((layer) => layer.rank < rank);
  return [
    ...(fresh.length > 0 ? [{ code: 'adapter.from-layers', text: `${fresh.length} of ${plan.layers.length} layers are not in "${path}" and start anew, first "${fresh[0]!}".`, data: { path, layers: fresh } }] : []),
    ...(smaller.length > 0 ? [{ code: 'adapter.from-rank', text: `${smaller.length} layers of "${path}" have a rank below ${rank} (first "${smaller[0]!.path}", ${smaller[0]!.rank}) and get room for more.`, data: { path, layers: smaller.map((layer) => layer.path) } }] : []),
  ];
}

/** Whether a job may go on from a file, without its values. Errors: those of `adapterStart`. */
export const checkStart = (run: StartedRun, path: string): void => void readStart(run, path);

/** Keeps the start in the folder of a new run. Errors: those of `adapterStart`, `files.*`. */
export async function keepStart(run: StartedRun, folder: string, path: string): Promise<readonly PlanWarning[]> {
  const { values, warnings } = adapterStart(run, path);
  const tensors = run.plan.tensors.flatMap(({ name, shape }): TensorToWrite[] => (values.has(name) ? [{ name, shape, dtype: 'f32', data: values.get(name)! }] : []));
  await writeSafetensors(join(folder, START_FILE), tensors, { 'adora.start': 'values that the run started from', [START_HASH]: await hashOfFiles([adapterPath(path)]) });
  return warnings;
}
