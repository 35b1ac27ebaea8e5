// What the pictures of `adora sample` and of comparing tell of themselves: model, adapters, and nodes that make them elsewhere.
import { consumers } from '../catalog/consumers/index.ts';
import type { NamedAdapter } from '../catalog/define/beside.ts';
import type { ConsumerProgram } from '../catalog/define/consumer.ts';
import type { DoraAxis } from '../catalog/define/format.ts';
import { nodeWorkflow } from '../catalog/define/node-workflow.ts';
import { formats } from '../catalog/formats/index.ts';
import { exactIn, layoutsFor } from '../catalog/programs.ts';
import { adapterName, modelName } from '../files/paths.ts';
import { fileNames, recipeOf, usedFor, type PictureElsewhere } from './export-beside.ts';
import { axisOfRun, runStem } from './export-source.ts';
import type { PaintingModel } from './painter.ts';
import type { PaintedWith, PictureSettings } from './picture.ts';
import type { ReadAdapter } from './read-adapter.ts';
import type { OpenRun } from './run-job.ts';

export interface AdapterFacts {
  /** Name of the file without its ending. */
  readonly name: string;
  readonly layout: string;
  readonly axis: DoraAxis | null;
}

export interface PaintedFrom extends Pick<PictureElsewhere, 'base' | 'clipSkip'>, Pick<PaintingModel, 'model' | 'baseModel' | 'noise'> {
  /** Null where weights themselves were trained, so that no file is applied to the base. */
  readonly adapters: readonly AdapterFacts[] | null;
}

export const factsOfAdapter = (path: string, { layout, axis }: Pick<ReadAdapter, 'layout' | 'axis'>): AdapterFacts => ({ name: adapterName(path), layout, axis });

/** The adapter of a run under the name of its export. */
export function adapterOfRun(run: Pick<OpenRun, 'job' | 'plan'>, step: number): readonly AdapterFacts[] | null {
  if (run.plan.layers.length === 0) return step === 0 ? [] : null;
  const axis = axisOfRun(run);
  const choices = layoutsFor(run.job.output.for);
  const { layout } = choices.find(({ programs }) => programs.some((program) => exactIn(program, axis))) ?? choices[0]!;
  return step === 0 ? [] : [{ name: `${runStem(run.job, step)}-${layout}`, layout, axis }];
}

const isShownBy = (program: ConsumerProgram, { layout, axis }: AdapterFacts): boolean => formats[layout]?.naming === program.naming && (axis === null || axis === program.axis);

/** @param strength of every adapter; at 0 there are none */
export function paintedFrom(from: PaintedFrom, strength: number, settings: PictureSettings): PaintedWith {
  const adapters = strength === 0 ? [] : from.adapters;
  const used = usedFor(from, (adapters ?? []).map((adapter) => ({ name: adapter.name, strength, isForWebui: isShownBy(consumers.a1111, adapter) })));
  const isThere = adapters?.every((adapter) => isShownBy(consumers.comfyui, adapter)) ?? false;
  return isThere ? { ...used, workflow: workflowOf(from, adapters!.map(({ name }) => ({ file: `${name}.safetensors`, strength })), settings) } : used;
}

function workflowOf({ model, baseModel, base, ...facts }: PaintedFrom, adapters: readonly NamedAdapter[], settings: PictureSettings): string | null {
  const { denoiserComponent, knownAs } = model;
  const stem = adapters.length > 0 ? adapterName(adapters[0]!.file) : modelName(base.model);
  const picture = recipeOf({ ...facts, settings }, fileNames(base, baseModel, denoiserComponent));
  return nodeWorkflow({ adapters, stem, title: stem, trigger: '', note: '', base: knownAs, picture })?.text ?? null;
}
