// adora train JOB|RECIPE [--out RUN] | --resume RUN

import { existsSync } from 'node:fs';
import { basename, extname, join, resolve } from 'node:path';

import type { Command } from 'commander';

import { UserError } from '../../base/errors.ts';
import { readJobFile } from '../../app/job-file.ts';
import { readRecipeFile, selectionOfRecipe } from '../../app/recipe-file.ts';
import type { TrainEvent, TrainEventBody } from '../../contract/events.ts';
import type { Job } from '../../contract/job.ts';
import type { CatalogFields } from '../../contract/parse-job.ts';
import type { Recipe } from '../../contract/recipe.ts';
import { writeFileAtomic } from '../../files/atomic-write.ts';
import { jobFileOf } from '../../files/run-files.ts';
import { collect, jsonOption } from '../arguments.ts';
import { exitCodes } from '../exit-codes.ts';
import type { RunInSession } from '../run-cli.ts';

/** Trains in `runFolder` until done or asked to stop. */
export type RunJob = (request: {
  readonly job: Job;
  readonly runFolder: string;
  readonly resume: boolean;
  readonly onEvent: (event: TrainEvent) => void;
  readonly control: { shouldStop(): boolean };
}) => Promise<'finished' | 'interrupted'>;

export interface ForecastRequest {
  readonly job: Job;
  readonly runFolder: string;
  /** Whether a step is compiled and timed. */
  readonly times: boolean;
}

/** Says what a job would need. */
export type Forecast = (request: ForecastRequest) => Promise<TrainEventBody>;

/** What differs from what a recipe was made with, as warnings. */
export type CheckRecipe = (recipe: Recipe, job: Job) => Promise<readonly TrainEventBody[]>;

interface Options {
  readonly base?: string;
  readonly data: readonly string[];
  readonly out?: string;
  readonly forecast: boolean;
  readonly resume?: string;
  readonly set: readonly string[];
  readonly json: boolean;
}

export function addTrain(
  program: Command, inSession: RunInSession, runJob: RunJob, catalogFields: () => Promise<CatalogFields>,
  forecast: Forecast | undefined, checkRecipe?: CheckRecipe,
): void {
  const command = program.command('train')
    .description('train what a job describes, or go on with an interrupted run')
    .argument('[job]', 'job file (.toml or .json), or a recipe (.recipe.json)')
    .option('--out <run>', 'folder of the new run (default: runs/<job file>, numbered)')
    .option('--resume <run>', 'folder of a run to go on with')
    .option('--base <model>', 'base model of a recipe, where it is not at its place')
    .option('--data <folder>', 'folder with the pictures of a recipe; once for each of its folders, or one that holds them', collect, [])
    .option('--set <key=value>', 'change a setting of the job, for example train.steps=200; may be repeated', collect, [])
    .option('--forecast', 'only say what the job needs: memory, disk, and time by one timed step; nothing is trained', false)
    .addOption(jsonOption());
  command.action(async (jobPath: string | undefined, options: Options) => {
    const { resume } = options;
    if ((jobPath === undefined) === (resume === undefined)) {
      command.error('error: give either a job file or --resume with the folder of a run');
    }
    if (resume !== undefined && (options.out !== undefined || options.set.length > 0)) {
      command.error('error: --out and --set belong to a new run; a resumed run keeps its folder and job');
    }
    const hasPlaces = options.base !== undefined || options.data.length > 0;
    if (resume !== undefined && hasPlaces) command.error('error: --base and --data belong to a recipe; a resumed run keeps its job');
    await inSession(options.json, async ({ show, onEvent, shouldStop }) => {
      const file = resume === undefined ? jobPath ?? '' : jobFileOf(resume);
      const fields = await catalogFields();
      const opened = resume === undefined ? await readRecipeFile(file, fields, options, options.set) : null;
      if (!opened && hasPlaces) throw new UserError('job.no-recipe', `"${file}" is a job and no recipe: name its places in it, or with --set base.model=… .`, { file });
      const { job: read, notes } = opened ?? await readJobFile(file, fields, options.set);
      for (const note of notes) onEvent({ kind: 'warning', code: 'job.migrated', text: note });
      const runFolder = resolve(resume ?? options.out ?? freeRunFolder(file));
      const job = opened ? await withSelection(opened.recipe, read, runFolder) : read;
      if (opened) for (const warning of await checkRecipe?.(opened.recipe, job) ?? []) onEvent(warning);
      if (options.forecast && forecast) {
        const made = await forecast({ job, runFolder, times: true });
        onEvent(made);
        return made.kind === 'forecast' && made.verdict === 'too-large' ? exitCodes.failed : exitCodes.ok;
      }
      const end = await runJob({ job, runFolder, resume: resume !== undefined, onEvent: show, control: { shouldStop } });
      return end === 'finished' ? exitCodes.ok : exitCodes.interrupted;
    });
  });
}

/** Choices of single pictures lie beside the run's folder, as those of the studio do. */
async function withSelection(recipe: Recipe, job: Job, runFolder: string): Promise<Job> {
  const text = await selectionOfRecipe(recipe, job);
  if (text === null) return job;
  const selection = `${runFolder}.selection.json`;
  await writeFileAtomic(selection, text);
  return { ...job, data: { ...job.data, selection } };
}

/** `runs/<name of the job file>`, with the first number that is free. */
function freeRunFolder(jobPath: string): string {
  const name = basename(jobPath, extname(jobPath)).replace(/\.recipe$/, '');
  let folder = join('runs', name);
  for (let number = 2; existsSync(folder); number++) folder = join('runs', `${name}-${number}`);
  return folder;
}
