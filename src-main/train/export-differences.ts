// A file with whole differences of weights: for the programs that find all of them, read again, with a picture.
import { rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { UserError } from '../base/errors.ts';
import { consumers } from '../catalog/consumers/index.ts';
import type { AdapterFormat, NamedModel, Program } from '../catalog/define/format.ts';
import { layoutsFor } from '../catalog/programs.ts';
import type { TrainEventBody } from '../contract/events.ts';
import { EXPORT } from '../contract/export-kinds.ts';
import type { Consumer } from '../contract/job.ts';
import { renameOver, writeFileAtomic } from '../files/atomic-write.ts';
import { writeBeside, type PictureElsewhere } from './export-beside.ts';
import { list, webuiNameOf } from './export-choice.ts';
import { writeDifferences, type Difference } from './export-diff.ts';
import { paintDifferences, picturesOf, pictureVerdict, type PaintedPair, type Painting } from './export-picture.ts';
import { ALLOWED } from './export-run.ts';
import type { SourceFacts } from './export-source.ts';
import type { FileDType } from './export-values.ts';
import type { OpenRun } from './run-job.ts';
import { adapterFile, unprovedPath } from './write-adapter.ts';

export interface DifferencesToWrite {
  readonly differences: readonly Difference[];
  readonly named: NamedModel;
  readonly facts: SourceFacts;
  readonly stem: string;
}

export interface DifferencesExport {
  readonly for: Consumer;
  readonly folder: string;
  readonly dtype: FileDType;
  readonly picture: PictureElsewhere | null;
  readonly painting: Painting | null;
}

export interface WrittenDifferences {
  /** The file; null when its element type would take too much. */
  readonly path: string | null;
  readonly overall: number;
  readonly worst: number;
  readonly pictures: PaintedPair | null;
}

/** The layout of differences, which the programs for adapters of this kind share. Error: `export.no-differences`. */
export function layoutOfDifferences(target: Consumer): AdapterFormat {
  const found = layoutsFor(target).find(({ programs }) => programs.some((program) => consumers[program].readsDifference));
  if (found) return found.format;
  throw new UserError('export.no-differences', `${target} reads no differences of weights: use --as merged, or --as lora with a rank.`, { program: target });
}

/** Events: `phase`, `verdict`, `warning`. Errors: `export.unread-difference`, those of writing and painting. */
export async function exportDifferences(base: Pick<OpenRun, 'baseModel' | 'model'>, { differences, named, facts, stem }: DifferencesToWrite, settings: DifferencesExport, emit: (event: TrainEventBody) => void): Promise<WrittenDifferences> {
  const { folder, dtype, picture, painting } = settings;
  const format = layoutOfDifferences(settings.for);
  const programs = readersOf(differences, named, settings.for, emit);
  const path = adapterFile(folder, stem, EXPORT.differences);
  const unproved = unprovedPath(path);
  const metadataOf = (hash: string): Record<string, string> => ({ ...format.metadata({ ...facts, axis: null, note: '', hash }), ss_network_module: 'lycoris.kohya', ss_network_args: JSON.stringify({ algo: 'full' }) });
  try {
    const { overall, worst } = await writeDifferences(unproved, differences, dtype, metadataOf, (done, total) => emit({ kind: 'phase', name: 'write differences', done, total, unit: 'tensors' }));
    const ok = overall <= ALLOWED[dtype];
    const told = programs.map((program) => ({ program, label: consumers[program].label, ok }));
    const text = ok
      ? `The differences of ${differences.length} weights were read again: ${list(told.map(({ label }) => label))} ${told.length === 1 ? 'finds' : 'find'} all of them, and they are what was learnt, to ${percent(overall)} of the change (${percent(worst)} in the worst).`
      : `No file was left, because its element type takes ${percent(overall)} of the change: use --dtype f32.`;
    const verdict = { kind: 'verdict', name: 'export', about: 'differences', ok, text, data: { file: path, layers: differences.length, overall, worst, dtype, programs: told } } as const;
    if (!ok) {
      emit(verdict);
      return { path: null, overall, worst, pictures: null };
    }
    const pictures = painting && picture && await paintDifferences(base, differences, unproved, path, { ...picture, painting, webuiName: webuiNameOf(path, format, null) }, emit);
    await renameOver(unproved, path);
    await writeFileAtomic(`${path}.proof.json`, `${JSON.stringify({ file: basename(path), text, ok, overall, worst, dtype, programs, pictures: picturesOf(pictures) }, null, 1)}\n`);
    await writeBeside(path, programs, {
      title: facts.title, trigger: facts.trigger, note: '', base: facts.base, picture, isAdapter: true,
      loaded: base.baseModel, denoiser: base.model.denoiserComponent,
    });
    emit(verdict);
    if (pictures) emit(pictureVerdict(path, pictures));
    return { path, overall, worst, pictures };
  } finally {
    await rm(unproved, { force: true });
  }
}

const percent = (value: number): string => `${(100 * value).toPrecision(2)} %`;

/** Programs that find every difference; of all programs, those that do not are left out and told. Error: `export.unread-difference`. */
function readersOf(differences: readonly Difference[], named: NamedModel, target: Consumer, emit: (event: TrainEventBody) => void): Program[] {
  const candidates = layoutsFor(target).flatMap((choice) => choice.programs).filter((program) => consumers[program].readsDifference);
  const problems = candidates.map((program) => ({ program, problem: problemOf(program, differences, named) }));
  const readers = problems.filter(({ problem }) => problem === null).map(({ program }) => program);
  const text = problems.flatMap(({ program, problem }) => (problem === null ? [] : [`${consumers[program].label} would leave something out: ${problem}.`])).join(' ');
  if (readers.length === 0) throw new UserError('export.unread-difference', `${text} Use --as merged, which is exact in every program.`, { lost: text });
  if (text !== '') emit({ kind: 'warning', code: 'export.unread-difference', text: `${text} The file is not for ${problems.length - readers.length === 1 ? 'it' : 'them'}: use the merged model there (--as merged).`, data: { programs: readers, lost: text } });
  return readers;
}

function problemOf(program: Program, differences: readonly Difference[], named: NamedModel): string | null {
  const consumer = consumers[program];
  const isNorm = new Set(differences.filter(({ name }) => /\.[wb]_norm$/.test(name)).map(({ path }) => path));
  const lost = differences.filter(({ path, name }) => {
    const cut = path.lastIndexOf('.');
    const [layer, part] = [path.slice(0, cut), path.slice(cut + 1) as 'weight' | 'bias'];
    const module = name.slice(0, name.indexOf('.'));
    return !consumer.modulesOf(layer, named).includes(module) || !consumer.readsDifference!(layer, part, isNorm.has(path), named);
  });
  if (lost.length > 0) return `it finds no difference of ${lost.length} weights (first "${lost[0]!.path}")`;
  return consumer.refuses?.([...new Set(differences.map(({ name }) => name.slice(0, name.indexOf('.'))))], named) ?? null;
}
