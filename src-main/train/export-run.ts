// What a run leaves behind for other programs: adapter files in the layouts they read, or a whole model.
import { join } from 'node:path';
import { UserError } from '../base/errors.ts';
import { createBuilder } from '../graph/builder.ts';
import { formats } from '../catalog/formats/index.ts';
import type { AdapterFormat, DoraAxis, Program } from '../catalog/define/format.ts';
import type { TrainEventBody } from '../contract/events.ts';
import type { Consumer } from '../contract/job.ts';
import { f32, type DeviceTensor, type HostTensor } from '../runtime/runtime.ts';
import { readAll, type FileDType } from './export-values.ts';
import type { OpenRun } from './run-job.ts';
import { saveModel, type SaveModelSettings } from './save-model.ts';
import type { TrainedValues } from './trained.ts';
import { adapterFile, axisOfRun, writeAdapter } from './write-adapter.ts';

type Emit = (event: TrainEventBody) => void;

/** Gives the files written. */
export async function exportRun(run: OpenRun, shown: ReadonlyMap<string, DeviceTensor>, pictures: (() => Promise<Float32Array[]>) | null, emit: Emit): Promise<string[]> {
  const { job, folder } = run;
  emit({ kind: 'phase', name: 'export', done: 0, total: 1, unit: 'files' });
  const values = await readAll(shown);
  if (run.plan.layers.length > 0) return exportAdapter(run, values, { for: job.output.for, dtype: job.output.dtype, folder: folder.exports, step: job.train.steps }, emit);
  const target = join(folder.exports, 'model');
  const config: SaveModelSettings['config'] = pictures ? { vae: { scaling_factor: await latentScale(run, values, await pictures()) } } : {};
  await saveModel(values, { base: job.base.model, target, dtype: job.output.dtype, config });
  return [target];
}

export interface AdapterExport {
  readonly for: Consumer;
  readonly dtype: FileDType;
  readonly folder: string;
  readonly step: number;
}

/** One file per layout that the program (or any, for `all`) reads. What cannot be exact is said. */
export async function exportAdapter(run: Pick<OpenRun, 'job' | 'model' | 'modelFolder' | 'plan'>, values: TrainedValues, settings: AdapterExport, emit: Emit): Promise<string[]> {
  const axis = axisOfRun(run);
  const files: string[] = [];
  for (const [layout, format] of Object.entries(formats)) {
    const programs = format.writtenFor.filter((program) => settings.for === 'all' || program === settings.for);
    if (programs.length === 0) continue;
    if (axis !== null && !format.axes.includes(axis)) {
      emit({ kind: 'warning', code: 'export.axis', text: cannotCarry(format, axis) });
      continue;
    }
    const note = noteFor(format, axis, programs);
    if (note) emit({ kind: 'warning', code: 'export.not-exact', text: note, data: { layout } });
    const written = await writeAdapter(run, values, format, adapterFile(settings.folder, run.job, layout), settings.dtype, settings.step, note);
    files.push(written.path);
    emit(verdictOf(written, format, settings.dtype));
  }
  return files;
}

/** Refuses a program that would not show what was trained. Error: `export.not-exact`. */
export function checkExact(run: Pick<OpenRun, 'job' | 'plan'>, program: Program): void {
  const axis = axisOfRun(run);
  const chosen = Object.values(formats).filter(({ writtenFor }) => writtenFor.includes(program));
  if (chosen.some((format) => format.exactIn(axis).includes(program))) return;
  const others = [...new Set(Object.values(formats).flatMap((format) => format.exactIn(axis)))];
  throw new UserError('export.not-exact', `${program} would not show what was trained: the run's magnitudes are per ${axis}, which it does not apply that way. Export with --merge or for ${list(others)}; or train again with adapter.axis = "${axis === 'input' ? 'output' : 'input'}".`, { program, axis });
}

const list = (names: readonly string[]): string => names.join(', ');

const cannotCarry = ({ label, writtenFor }: AdapterFormat, axis: DoraAxis): string =>
  `The layout ${label} (${list(writtenFor)}) has no place for magnitudes per ${axis}, so no file of it was written: train with adapter.axis = "${axis === 'input' ? 'output' : 'input'}" for it, or export the merged model.`;

/** What a user of the file must know; empty when it is exact in all these programs. */
function noteFor(format: AdapterFormat, axis: DoraAxis | null, programs: readonly Program[]): string {
  const exact = format.exactIn(axis);
  const wrong = programs.filter((program) => !exact.includes(program));
  if (wrong.length === 0) return '';
  return `This DoRA has magnitudes per ${axis}, which ${list(wrong)} do not apply as it was trained: there the picture differs. Train with adapter.axis = "input" for them, or use the merged model.`;
}

/** Rounding of the element type allows this much; more means that the file is wrong. */
const ALLOWED: Readonly<Record<FileDType, number>> = { f32: 1e-5, f16: 5e-3, bf16: 2e-2 };

function verdictOf({ path, worstProduct, worstMagnitude, layers }: Awaited<ReturnType<typeof writeAdapter>>, { label }: AdapterFormat, dtype: FileDType): TrainEventBody {
  const ok = worstProduct <= ALLOWED[dtype] && worstMagnitude === 0;
  const percent = (value: number): string => `${(100 * value).toPrecision(2)} %`;
  const text = ok
    ? `The ${label} file was read again: ${layers} layers, changes equal to ${percent(worstProduct)}.`
    : `The ${label} file does not hold what was trained: changes differ by up to ${percent(worstProduct)}, magnitudes by ${percent(worstMagnitude)}. Export with output.dtype = "f32".`;
  return { kind: 'verdict', name: 'export', ok, text, data: { file: path, layers, worstProduct, worstMagnitude, dtype } };
}

/** 1 / standard deviation of the latents of some pictures: puts them on the scale of the noise. */
async function latentScale({ model, runtime, modelFolder, plan }: OpenRun, values: ReadonlyMap<string, HostTensor>, batches: readonly Float32Array[]): Promise<number> {
  const side = model.nativeSide;
  let sum = 0;
  let squares = 0;
  let count = 0;
  for (const pixels of batches) {
    const shape = [pixels.length / (3 * side * side), 3, side, side];
    const g = createBuilder(plan.builder);
    const program = await runtime.compile(g.graph({ moments: g.mul(model.encode(g, g.input('pixels', shape)), 1) }), { weights: modelFolder.weights, name: 'encode' });
    const feeds = new Map([...values].map(([name, tensor]) => [name, runtime.upload(tensor)]));
    feeds.set('pixels', runtime.upload(f32(pixels, shape)));
    const moments = (await (await program.run(feeds)).get('moments')!.read()) as Float32Array;
    const half = moments.length / shape[0]! / 2;
    for (let i = 0; i < moments.length; i++) {
      // Every other half is log variances.
      if (Math.floor(i / half) % 2 === 1) continue;
      sum += moments[i]!;
      squares += moments[i]! ** 2;
      count++;
    }
    await program.dispose();
  }
  const deviation = Math.sqrt(squares / count - (sum / count) ** 2);
  return Number((1 / deviation).toFixed(5));
}
