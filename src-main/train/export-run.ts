// What a run leaves behind for other programs: adapter files in the layouts they read, or a whole model.
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { consumers } from '../catalog/consumers/index.ts';
import type { AdapterFormat, Program } from '../catalog/define/format.ts';
import { exactIn, layoutsFor, programsFor } from '../catalog/programs.ts';
import type { TrainEventBody } from '../contract/events.ts';
import type { Consumer } from '../contract/job.ts';
import { renameOver, writeFileAtomic } from '../files/atomic-write.ts';
import { refuseSources } from '../files/keep-sources.ts';
import type { DeviceTensor } from '../runtime/runtime.ts';
import { list, noteFor, problemWithNames, webuiNameOf } from './export-choice.ts';
import { writeBeside, type PictureElsewhere } from './export-beside.ts';
import { proveFile, type FileProof, type ProofSettings } from './export-proof.ts';
import { sourceOfRun, type ExportSource } from './export-source.ts';
import { exportMerged } from './export-merged.ts';
import { isSmall, paintBoth, picturesOf, pictureVerdict, type PaintedPair, type Painting } from './export-picture.ts';
import { readAll, type FileDType } from './export-values.ts';
import { latentScale } from './latent-scale.ts';
import { saveMerged, weightsOfRun } from './merge.ts';
import { pictureOfRun } from './preview.ts';
import type { OpenRun } from './run-job.ts';
import { replacedParts, saveModel, statedNoise, type SaveModelSettings } from './save-model.ts';
import type { PictureBatch } from './tasks/autoencoder.ts';
import { adapterFile, unprovedPath, writeAdapter, type WriteSettings } from './write-adapter.ts';

type Emit = (event: TrainEventBody) => void;

/** Gives the files written. */
export async function exportRun(run: OpenRun, shown: ReadonlyMap<string, DeviceTensor>, pictures: (() => Promise<readonly PictureBatch[]>) | null, emit: Emit): Promise<string[]> {
  const { job, folder, model, baseModel } = run;
  emit({ kind: 'phase', name: 'export', done: 0, total: 1, unit: 'files' });
  const values = await readAll(shown);
  const isPainted = job.preview.prompts.length > 0 && isSmall(baseModel, model.denoiserComponent);
  const picture = { picture: pictureOfRun(run), painting: isPainted ? { runtime: run.runtime, compute: 'f32' } as const : null };
  if (run.plan.layers.length > 0) {
    const source = sourceOfRun(run, values, job.train.steps);
    return (await exportAdapter(source, { for: job.output.for, dtype: job.output.dtype, folder: folder.exports, ...picture }, emit)).files;
  }
  const target = join(folder.exports, 'model');
  if (job.task === 'adapter') {
    const weights = weightsOfRun(run, (name) => values.get(name)!);
    return [(await exportMerged(run, weights, { target, dtype: job.output.dtype, title: job.name, ...picture, programs: programsFor(job.output.for) }, emit)).path];
  }
  const scale = pictures ? await latentScale(run, values, await pictures()) : null;
  if (run.baseModel.isFile) {
    const texts: Record<string, string> = scale === null ? {} : { [LATENT_SCALE]: String(scale) };
    const { path } = await saveMerged(run, weightsOfRun(run, (name) => values.get(name)!), { target, dtype: job.output.dtype, title: job.name, texts });
    if (scale !== null) emit({ kind: 'warning', code: 'export.no-scale', text: noScale(path, scale), data: { scale } });
    return [path];
  }
  const config: SaveModelSettings['config'] = { ...(scale === null ? {} : { vae: { scaling_factor: scale } }), ...(job.task === 'autoencoder' ? {} : statedNoise(model, baseModel.files)) };
  await saveModel(values, { base: job.base.model, replaced: replacedParts(run.baseModel), target, dtype: job.output.dtype, config });
  return [target];
}

/** Where our own files state what a checkpoint has no place for. */
const LATENT_SCALE = 'adora.latent_scale';

const noScale = (path: string, scale: number): string =>
  `The latents of the trained autoencoder want the scale ${scale}, and a single file has no place that other programs read it from (it stands in the file's metadata as "${LATENT_SCALE}"): `
  + `give it to the program that uses "${basename(path)}", or train from a model folder, whose vae/config.json states it.`;

export interface AdapterExport {
  readonly for: Consumer;
  readonly dtype: FileDType;
  readonly folder: string;
  /** Part of the file names: `lora` for an approximation. */
  readonly kind?: string;
  /** The file that is exported, which no result may take the place of. */
  readonly from?: string;
  /** What the files hold, when it is not the source itself: it was made from it, and may differ from it by this much. */
  readonly held?: { readonly source: ExportSource; readonly errors: ReadonlyMap<string, number>; readonly write: Pick<WriteSettings, 'approximation'> };
  /** What other programs are told to paint with the file; null for a base that lacks what that takes. */
  readonly picture: PictureElsewhere | null;
  /** Where it is painted with the trained values and with each file; null paints nothing. */
  readonly painting: Painting | null;
  readonly pause?: () => Promise<void>;
}

export interface ExportedFile {
  readonly path: string;
  readonly layout: string;
  readonly proof: FileProof;
  readonly pictures: PaintedPair | null;
}

export interface ExportOutcome {
  /** Adapter files that were proved and are in place. */
  readonly files: string[];
  readonly exported: readonly ExportedFile[];
  readonly ok: boolean;
}

/**
 * One file per layout that the program (or any, for `all`) reads, each read again and proved before it gets its name. A file
 * that a program would apply wrongly is removed, and the verdict says why. Events: `warning`, `verdict`. Error: `files.is-the-source`.
 */
export async function exportAdapter(source: ExportSource, settings: AdapterExport, emit: Emit): Promise<ExportOutcome> {
  const exported: ExportedFile[] = [];
  let ok = true;
  const held = settings.held?.source ?? source;
  const pathOf = (layout: string): string => adapterFile(settings.folder, source.stem, settings.kind === undefined ? layout : `${settings.kind}-${layout}`);
  if (settings.from !== undefined) for (const { layout } of layoutsFor(settings.for)) refuseSources(pathOf(layout), [settings.from]);
  for (const { layout, format, programs } of layoutsFor(settings.for)) {
    const exact = programs.filter((program) => exactIn(program, held.axis));
    if (exact.length === 0) {
      emit({ kind: 'warning', code: 'export.axis', text: cannotCarry(format, programs, held.axis!), data: { layout: format.label, axis: held.axis, programs: programs.map((program) => consumers[program].label) } });
      continue;
    }
    const takers = settings.for === 'all' ? exact.filter((program) => takesNames(held, program, emit)) : exact;
    if (takers.length === 0) continue;
    const found = await writeAndProve(source, held, { ...settings, path: pathOf(layout), layout, format, programs: takers }, emit);
    ok &&= found !== null;
    if (found) exported.push(found);
  }
  return { files: exported.map(({ path }) => path), exported, ok };
}

/** Whether a program takes a file with these layers; where it does not, the file is for the others, which is told. */
function takesNames(held: ExportSource, program: Program, emit: Emit): boolean {
  const problem = problemWithNames(held, program);
  if (problem === null) return true;
  emit({ kind: 'warning', code: problem.code, text: `${problem.message} What is written is not for it.`, data: problem.data });
  return false;
}

interface OneFile extends AdapterExport {
  readonly path: string;
  readonly layout: string;
  readonly format: AdapterFormat;
  readonly programs: readonly Program[];
}

/** Null when the file would be wrong; then it is gone again. */
async function writeAndProve(source: ExportSource, held: ExportSource, one: OneFile, emit: Emit): Promise<ExportedFile | null> {
  const { path, layout, format, programs, dtype } = one;
  const unproved = unprovedPath(path);
  try {
    const written = await writeAdapter(held, format, unproved, { dtype, note: noteFor(held, programs), ...one.held?.write });
    const proof = await proveFile(source, unproved, programs, proofSettings(one, emit));
    const verdict = verdictOf(path, layout, format, proof, dtype, source.layers.length, one.held !== undefined);
    if (!verdict.ok) {
      emit(verdict);
      return null;
    }
    // Before the file gets its name: one that was stopped here was not exported.
    const pictures = one.painting && one.picture && await paintBoth(source, unproved, path, { ...one.picture, painting: one.painting, webuiName: webuiNameOf(path, format, held.axis) }, emit);
    await renameOver(unproved, path);
    await writeFileAtomic(`${path}.proof.json`, `${JSON.stringify({ ...verdict.data, text: verdict.text, file: basename(path), pictures: picturesOf(pictures), layers: layersOf(proof) }, null, 1)}\n`);
    const { title, trigger, base } = await source.facts();
    await writeBeside(path, programs, {
      title, trigger, base, note: written.metadata['adora.note'] ?? '', picture: one.picture, isAdapter: true,
      loaded: source.baseModel, denoiser: source.model.denoiserComponent,
    });
    emit(verdict);
    if (pictures) emit(pictureVerdict(path, pictures));
    return { path, layout, proof, pictures };
  } finally {
    await rm(unproved, { force: true });
  }
}

/** Rounding of the element type allows this much; more means that the file is wrong. */
export const ALLOWED: Readonly<Record<FileDType, number>> = { f32: 1e-5, f16: 5e-3, bf16: 2e-2 };

const proofSettings = ({ dtype, held, layout, pause }: OneFile, emit: Emit): ProofSettings => ({
  isSame: held === undefined,
  allowed: ({ path }) => ALLOWED[dtype] + 1.01 * (held?.errors.get(path) ?? 0),
  onProgress: (done, total) => emit({ kind: 'phase', name: 'prove', about: layout, done, total, unit: 'layers' }),
  ...(pause ? { pause } : {}),
});

const percent = (value: number): string => `${(100 * value).toPrecision(2)} %`;

function verdictOf(path: string, layout: string, { label }: AdapterFormat, { programs, compared }: FileProof, dtype: FileDType, layers: number, approximate: boolean) {
  const ok = programs.every((program) => program.ok);
  const wrong = programs.filter((program) => !program.ok);
  const [first] = programs;
  const worst = programs.reduce((most, program) => ((program.worst?.error ?? 0) > (most.worst?.error ?? 0) ? program : most), first!);
  const share = compared < 1 ? `, ${percent(compared)} of each compared` : '';
  const told = approximate ? 'approximately what was trained' : 'what was trained';
  const text = ok
    ? `The ${label} file was read again: ${list(programs.map((program) => program.label))} compute${programs.length === 1 ? 's' : ''} ${told} in all ${layers} layers, ` +
      `to ${percent(worst.overall)} of the change (${percent(worst.worst?.error ?? 0)} in "${worst.worst?.path ?? ''}")${share}.`
    : `No ${label} file was left, because it would be wrong. ${wrong.map((program) => `${program.label}: ${program.problems.join('; ')}.`).join(' ')} Export with --as merged or --as lora, or with --dtype f32.`;
  const data = {
    file: path, layout, label, layers, dtype, compared,
    programs: programs.map((program) => ({ program: program.program, label: program.label, ok: program.ok, overall: program.overall, worst: program.worst?.error ?? 0, worstLayer: program.worst?.path ?? '', problems: program.problems })),
  };
  return { kind: 'verdict', name: 'export', ok, text, data } as const;
}

const layersOf = ({ programs }: FileProof): object =>
  Object.fromEntries((programs[0]?.layers ?? []).map(({ path }, i) => [path, Object.fromEntries(programs.map(({ program, layers }) => [program, Number(layers[i]!.error.toPrecision(4))]))]));

const cannotCarry = ({ label }: AdapterFormat, programs: readonly Program[], axis: string): string =>
  `${list(programs.map((program) => consumers[program].label))} ${programs.length === 1 ? 'does' : 'do'} not apply magnitudes per ${axis} as they were trained, so no ${label} file was written: ` +
  'use the merged model (--as merged) or a plain LoRA with a measured error (--as lora) there.';
