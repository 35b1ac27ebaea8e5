// What an export may be for: refusals before and after training, and the notes that go with files.
import { basename } from 'node:path';
import { UserError } from '../base/errors.ts';
import { consumers } from '../catalog/consumers/index.ts';
import type { AdapterFormat, DoraAxis, Program } from '../catalog/define/format.ts';
import { exactIn, formatOf, layoutsFor, programs } from '../catalog/programs.ts';
import { axisOfRun, fileStem, type ExportSource } from './export-source.ts';
import { namedModel } from './named-model.ts';
import type { OpenRun } from './run-job.ts';

export const list = (names: readonly string[]): string => (names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`);

/** Name that A1111 calls a run's adapter file by, without its ending; null when the run leaves no such file. */
export function webuiName(run: Pick<OpenRun, 'job' | 'plan'>): string | null {
  const { job, plan } = run;
  const { naming, axis } = consumers.a1111;
  const found = layoutsFor(job.output.for).find((choice) => choice.format.naming === naming);
  const own = axisOfRun(run);
  return found && plan.layers.length > 0 && (own === null || own === axis) ? `${fileStem(job)}-${found.layout}` : null;
}

/** Name that A1111 calls an adapter file by; null for one that it would not show as it is. */
export const webuiNameOf = (path: string, { naming }: AdapterFormat, axis: DoraAxis | null): string | null =>
  (naming === consumers.a1111.naming && (axis === null || axis === consumers.a1111.axis) ? basename(path, '.safetensors') : null);

/**
 * Refuses a program that would not show what is (or would be) trained: before training, so that nobody trains for nothing.
 * Errors: `export.not-exact`, `export.unnamed-layer`.
 */
export function checkExact(run: Pick<OpenRun, 'job' | 'plan' | 'model' | 'baseModel'>, program: Program): void {
  const { plan, model, baseModel } = run;
  checkAxis(program, axisOfRun(run));
  checkNames({ named: namedModel(baseModel.files, model.denoiserComponent), layers: plan.layers }, program);
}

/** Error: `export.not-exact`. */
export function checkAxis(program: Program, axis: DoraAxis | null): void {
  if (exactIn(program, axis)) return;
  const { label, axis: wanted } = consumers[program];
  const others = programs.filter((other) => exactIn(other, axis)).map((other) => consumers[other].label);
  throw new UserError('export.not-exact', `${label} would not show what was trained: the adapter's magnitudes are per ${axis}, and it applies them per ${wanted}. ` +
    `What is exact: --as merged, or a file for ${list(others)}. What comes close, with the error measured: --as lora. For a new training set adapter.axis = "auto" and output.for = "${program}".`, { program, label, axis, wanted, others });
}

interface NamedLayers {
  readonly named: ExportSource['named'];
  readonly layers: readonly { readonly path: string }[];
}

/** Errors: `export.unnamed-layer`, `export.refused`. */
export function checkNames(source: NamedLayers, program: Program): void {
  const problem = problemWithNames(source, program);
  if (problem !== null) throw problem;
}

/** Why a program would not take a file with these layers; null when it does. */
export function problemWithNames({ named, layers }: NamedLayers, program: Program): UserError | null {
  const { label, modulesOf, refuses } = consumers[program];
  const format = formatOf(program);
  const modules: string[] = [];
  for (const { path } of layers) {
    const [module] = format.modulesOf(path, named);
    if (module === undefined || !modulesOf(path, named).includes(module)) {
      return new UserError('export.unnamed-layer', `${label} has no name for the layer "${path}", so it could not be exported for it: choose other targets (adapter.targets), another program (output.for), or --as merged afterwards.`, { layer: path, program, label });
    }
    modules.push(module);
  }
  const refusal = refuses?.(modules, named) ?? null;
  return refusal === null ? null : new UserError('export.refused', `${label} would not take the file: ${refusal}. Choose other targets (adapter.targets), another program (output.for), or --as merged.`, { program, label, refusal });
}

/** What a user of a file in this layout must know. */
export const noteForLayout = (source: Pick<ExportSource, 'axis'>, { naming }: AdapterFormat): string =>
  noteFor(source, programs.filter((program) => consumers[program].naming === naming && exactIn(program, source.axis)));

/** What a user of a file with magnitudes must know. */
export function noteFor({ axis }: Pick<ExportSource, 'axis'>, exact: readonly Program[]): string {
  if (axis === null) return '';
  if (exact.length === 0) return `DoRA with magnitudes per ${axis} in a layout whose programs (${list(programs.filter((program) => !exactIn(program, axis)).map((program) => consumers[program].label))}) do not apply them as they were trained: they show something else.`;
  return `DoRA with magnitudes per ${axis}: ${list(exact.map((program) => consumers[program].label))} ${exact.length === 1 ? 'applies' : 'apply'} it as it was trained. Programs that ignore magnitudes or take them for others show something else.`;
}
