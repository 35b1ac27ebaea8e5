// `adora recipe RUN|ADAPTER`: a run as one small file that opens as the same job.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { UserError } from '../base/errors.ts';
import { ALTERED } from '../catalog/define/format.ts';
import type { TrainEvent } from '../contract/events.ts';
import type { Job } from '../contract/job.ts';
import { parseRecipe, recipeVersion, withPlaces, type Recipe, type RecipeResults } from '../contract/recipe.ts';
import { writeFileAtomic } from '../files/atomic-write.ts';
import { shown } from '../files/safetensors-header.ts';
import { openSafetensors } from '../files/safetensors.ts';
import { checkpointState, listCheckpoints } from './checkpoint.ts';
import { readDataset } from './export-data-facts.ts';
import { baseFacts, fileStem, hashOfFiles } from './export-source.ts';
import { openBase } from './open-model.ts';
import { readRunJob } from './open-run.ts';
import { recipeBase, recipeData } from './recipe-facts.ts';
import { readEvents } from './run-folder.ts';
import { startHash } from './start-file.ts';
import { versions } from './versions.ts';

export interface RecipeRequest {
  /** Folder of a run, or an adapter file that a run has written. */
  readonly source: string;
  /** File to write; beside the exports of the run (or the adapter) if left out. */
  readonly out?: string;
}

interface Made {
  readonly recipe: Recipe;
  readonly stem: string;
  readonly notes: readonly string[];
}

/** Errors: `run.*`, `recipe.none`, `files.*`. */
export async function recipeCommand({ source, out }: RecipeRequest): Promise<{ text: string; data: unknown }> {
  const isFile = existsSync(source) && statSync(source).isFile();
  const folder = isFile ? dirname(resolve(source)) : join(resolve(source), 'exports');
  const stem = isFile ? basename(source).replace(/\.safetensors$/, '') : fileStem(readRunJob(source));
  const target = out === undefined ? join(folder, `${stem}.recipe.json`) : resolve(out);
  const { recipe, notes } = isFile ? ofAdapter(source) : await ofRun(resolve(source), dirname(target));
  await writeFileAtomic(target, `${JSON.stringify(recipe, null, 1)}\n`);
  const pictures = recipe.data?.folders.reduce((sum, each) => sum + each.pictures.length, 0);
  const known = [recipe.base && `base: ${recipe.base.kind}`, pictures !== undefined && `${pictures} pictures by content`].filter((text) => typeof text === 'string');
  const text = [`${target}: opens as the same job with "adora train"${known.length > 0 ? ` (${known.join(', ')})` : ''}.`, ...notes].join('\n');
  return { text, data: { out: target, notes, base: recipe.base, pictures: pictures ?? null, results: recipe.results } };
}

async function ofRun(run: string, folder: string): Promise<Omit<Made, 'stem'>> {
  const job = readRunJob(run);
  const notes: string[] = [];
  const exported = readdirSync(join(run, 'exports'), { withFileTypes: true }).filter((entry) => entry.isFile() && entry.name.endsWith('.safetensors')).map(({ name }) => join(run, 'exports', name));
  const stored = exported.map(storedRecipe).find((each) => each !== null) ?? null;
  const last = listCheckpoints(join(run, 'checkpoints')).at(-1);
  const state = last ? checkpointState(last.path) : null;
  const { base, data } = await stillThere(job, state?.dataset ?? null, stored, notes);
  const events = readEvents(run);
  const start = startHash(run);
  const started = events.findLast((event) => event.kind === 'started');
  return {
    recipe: {
      recipe: recipeVersion, versions: started?.versions ?? stored?.versions ?? { ...versions }, job: withoutSelection(withPlaces(job, relativeTo(folder))),
      base, data, ...(start === null ? {} : { start: { sha256: start } }), results: await resultsOf(events, exported, state?.step ?? 0),
    },
    notes,
  };
}

type Known = Pick<Recipe, 'base' | 'data'>;

/** Base and pictures as they lie there now; what an exported adapter noted of them where they are gone or others. */
async function stillThere(job: Job, fingerprint: string | null, stored: Recipe | null, notes: string[]): Promise<Known> {
  let opened: ReturnType<typeof openBase>;
  try {
    opened = openBase(job);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    notes.push(`The base model cannot be opened any more (${error.message}) ${stored?.base ? 'Its hashes are those that the exported adapter noted.' : 'The recipe has no hashes of it.'}`);
    return { base: stored?.base ?? null, data: stored?.data ?? null };
  }
  const { baseModel, model } = opened;
  const parts = recipeBase(job.task, model, baseModel, null);
  const isNoted = stored?.base && JSON.stringify(stored.base.parts) === JSON.stringify(parts.parts);
  const base = isNoted ? stored.base : recipeBase(job.task, model, baseModel, await baseFacts(job.base.model, model, baseModel, []));
  const dataset = await readDataset(job, model);
  if (dataset && (fingerprint === null || dataset.fingerprint === fingerprint)) return { base, data: await recipeData(job, dataset, true) };
  const isKept = stored?.data && (fingerprint === null || stored.data.fingerprint === fingerprint);
  const why = dataset ? 'The pictures or captions are not those that the run was trained on any more' : 'The pictures cannot be read any more';
  notes.push(`${why}: ${isKept ? 'their hashes are those that the exported adapter noted, without names.' : dataset ? 'the recipe has the hashes of the present ones.' : 'the recipe has no hashes of them.'}`);
  return { base, data: isKept ? stored.data : dataset && await recipeData(job, dataset, true) };
}

function withoutSelection(job: Job): Record<string, unknown> {
  const { selection: _, ...data } = job.data;
  return { ...job, data };
}

/** Places as seen from the recipe's folder, so that it may be moved together with them. */
function relativeTo(folder: string): Parameters<typeof withPlaces>[1] {
  const place = (path: string): string => relative(folder, path).split(sep).join('/') || '.';
  return { file: place, folder: place, holdout: place };
}

async function resultsOf(events: readonly TrainEvent[], exported: readonly string[], step: number): Promise<RecipeResults> {
  const of = <Kind extends TrainEvent['kind']>(kind: Kind): Extract<TrainEvent, { kind: Kind }>[] => events.filter((event): event is Extract<TrainEvent, { kind: Kind }> => event.kind === kind);
  const [finished, started, probes] = [of('finished').at(-1), of('started').at(-1), of('probe')];
  return {
    steps: finished?.step ?? step, seconds: finished?.seconds ?? null,
    firstProbe: probes[0]?.loss ?? null, lastProbe: probes.at(-1)?.loss ?? null, device: started?.device ?? null, dtype: started?.dtype ?? null,
    files: await Promise.all(exported.map(async (file) => ({ file: basename(file), sha256: await hashOfFiles([file]) }))),
    verdicts: of('verdict').map(({ name, ok, text }) => ({ name, ok, text })),
  };
}

/** Error: `recipe.none`. */
function ofAdapter(file: string): Omit<Made, 'stem'> {
  const recipe = storedRecipe(file);
  const altered = openSafetensors(file).metadata.get(ALTERED);
  const notes = [
    ...(recipe?.data ? [] : ['The file does not say which pictures it was trained on.']),
    ...(altered === undefined ? [] : [`The file was altered after its training (${shown(altered)}): the recipe makes the adapter as it was trained.`]),
  ];
  if (recipe) return { recipe, notes };
  throw new UserError('recipe.none', `"${file}" holds no recipe ("adora.job" in its metadata): only adapters that Adora trained have one. Settings of another trainer are read by "adora import".`, { file });
}

/** The recipe in the metadata of an adapter; older ones have its job alone. Null without. */
function storedRecipe(file: string): Recipe | null {
  const { metadata } = openSafetensors(file, undefined, 'the adapter file');
  const [job, rest] = [jsonOf(metadata.get('adora.job')), jsonOf(metadata.get('adora.recipe'))];
  if (job === null) return null;
  const found = parseRecipe({ recipe: recipeVersion, versions: {}, base: null, data: null, ...(rest as object | null), job, results: null });
  return found.ok ? found.recipe : null;
}

function jsonOf(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? 'null');
  } catch {
    return null;
  }
}
