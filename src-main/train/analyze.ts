// `adora analyze`: how far training moved magnitude and direction of each layer, as data and as a picture.
import { join } from 'node:path';
import { UserError } from '../base/errors.ts';
import { magnitudeDirectionChart, signed } from '../analysis/charts/magnitude-direction-chart.ts';
import { summariesByKind, summarizeChanges, weightChange, type ChangePoint, type ChangeSummary } from '../analysis/magnitude-direction.ts';
import type { TrainEventBody } from '../contract/events.ts';
import { writeFileAtomic } from '../files/atomic-write.ts';
import { renderSvg } from '../files/render-svg.ts';
import { createOnnxRuntime } from '../runtime/onnx/onnx-runtime.ts';
import { listCheckpoints } from './checkpoint.ts';
import { mergedWeights } from './merged-weights.ts';
import { openRun, openSavedValues } from './open-run.ts';
import { adapterOf } from './plan.ts';
import type { OpenRun } from './run-job.ts';

export interface Analysis {
  readonly name: string;
  readonly adapter: string;
  readonly steps: readonly number[];
  readonly summary: ChangeSummary;
  /** By the last part of the layers' names. */
  readonly kinds: Readonly<Record<string, ChangeSummary>>;
  readonly points: readonly ChangePoint[];
}

export interface AnalyzeSettings {
  readonly run: string;
  readonly out?: string;
}

interface Context {
  readonly onEvent: (event: TrainEventBody) => void;
  readonly shouldStop: () => boolean;
}

export async function analyzeCommand({ run, out = run }: AnalyzeSettings, context: Context): Promise<{ text: string; data: unknown }> {
  const analysis = await analyzeRun(run, context);
  const files = await writeAnalysis(analysis, out);
  return { text: `${analysisText(analysis)}\n\nWritten: ${files.join(', ')}`, data: { ...analysis, files } };
}

/**
 * Measures all checkpoints of a run against its base model, in f32 on the CPU with sums in f64.
 * Errors: `analyze.no-checkpoints`, `analyze.no-base`, `analyze.stopped`, those of opening the run.
 */
export async function analyzeRun(path: string, { onEvent, shouldStop }: Context): Promise<Analysis> {
  const run = openRun(path, { runtime: createOnnxRuntime({ device: 'cpu' }), compute: 'f32' });
  checkBase(run);
  const checkpoints = listCheckpoints(run.folder.checkpoints).map(({ step, path: file }) => ({ step, values: openSavedValues(file) }));
  if (checkpoints.length === 0) {
    throw new UserError('analyze.no-checkpoints', `The run at "${path}" has no checkpoint, so there is nothing to measure: train on.`, { path });
  }
  const points: ChangePoint[] = [];
  const total = (run.plan.layers.length > 0 ? run.plan.layers : run.plan.tensors).filter(({ shape }) => isMatrix(shape)).length;
  let done = 0;
  for await (const weight of mergedWeights(run)) {
    if (!weight.path.endsWith('.weight') || !isMatrix(weight.shape)) continue;
    if (shouldStop()) throw new UserError('analyze.stopped', 'The analysis was stopped; nothing was written.');
    const before = run.baseModel.readF32(weight.path);
    const layer = weight.path.slice(0, -'.weight'.length);
    for (const { step, values } of checkpoints) points.push({ layer, step, ...weightChange(before, await weight.merge(values), weight.shape[0]!) });
    onEvent({ kind: 'phase', name: 'measure layers', done: ++done, total, unit: 'layers' });
  }
  return {
    name: run.job.name,
    adapter: run.job.task === 'adapter' ? adapterOf(run.job).label : 'Whole weights',
    steps: checkpoints.map(({ step }) => step),
    summary: summarizeChanges(points),
    kinds: Object.fromEntries(summariesByKind(points)),
    points,
  };
}

const isMatrix = (shape: readonly number[]): boolean => shape.length === 2 || shape.length === 4;

function checkBase({ job, plan, baseModel }: OpenRun): void {
  const path = plan.layers[0]?.path ?? plan.tensors[0]?.name ?? '';
  const component = path.slice(0, path.indexOf('.'));
  if (job.init === 'file' && (baseModel.files.get(component)?.tensors.size ?? 0) > 0) return;
  throw new UserError('analyze.no-base', `"${job.name}" was trained from random weights: there is no base model to measure the change from.`, { model: job.base.model });
}

/** Writes `analysis.json` and `magnitude-direction.png`; gives their paths. */
export async function writeAnalysis(analysis: Analysis, folder: string): Promise<string[]> {
  const data = join(folder, 'analysis.json');
  const picture = join(folder, 'magnitude-direction.png');
  await writeFileAtomic(data, `${JSON.stringify(analysis, null, 1)}\n`);
  await writeFileAtomic(picture, await analysisPicture(analysis));
  return [data, picture];
}

export function analysisPicture({ name, adapter, points }: Analysis): Promise<Buffer> {
  return renderSvg(magnitudeDirectionChart(`Magnitude against direction: ${name}`, [{ label: adapter, color: '#1d4ed8', points }]), 2);
}

/** Tables for people: layer × checkpoint, then the relation of both changes. */
export function analysisText({ points, steps, summary, kinds, adapter, name }: Analysis): string {
  const layers = [...new Set(points.map(({ layer }) => layer))];
  const byLayer = new Map(points.map((point) => [`${point.layer} ${point.step}`, point]));
  const width = Math.max(...layers.map((layer) => layer.length), 5);
  const head = `${'layer'.padEnd(width)}  ${'step'.padStart(7)}  ${'ΔD'.padStart(10)}  ${'ΔM'.padStart(10)}  ${'ΔM/mean m'.padStart(10)}`;
  const rows = layers.flatMap((layer) => steps.map((step) => {
    const point = byLayer.get(`${layer} ${step}`)!;
    const numbers = [point.direction, point.magnitude, point.relativeMagnitude].map((value) => value.toExponential(3).padStart(10));
    return `${layer.padEnd(width)}  ${String(step).padStart(7)}  ${numbers.join('  ')}`;
  }));
  const relation = (label: string, one: ChangeSummary): string =>
    `${label.padEnd(16)} ${String(one.points).padStart(4)} points  correlation ${number(one.correlation)}  slope ${exponent(one.line?.slope)}   relative to m: ${number(one.relativeCorrelation)}  ${exponent(one.relativeLine?.slope)}`;
  return [
    head, ...rows, '',
    `${name} (${adapter}): change of magnitude over change of direction`,
    relation('all layers', summary),
    ...Object.entries(kinds).map(([kind, one]) => relation(kind, one)),
  ].join('\n');
}

const number = (value: number | null): string => (value === null ? 'n/a' : signed(value));
const exponent = (value: number | undefined): string => (value === undefined ? 'n/a' : value.toExponential(2));
