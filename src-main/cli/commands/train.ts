// adora train JOB [--out RUN] | --resume RUN

import { existsSync } from 'node:fs';
import { basename, extname, join, resolve } from 'node:path';

import type { Command } from 'commander';

import { readJobFile } from '../../app/job-file.ts';
import type { TrainEvent, TrainEventBody } from '../../contract/events.ts';
import type { Job } from '../../contract/job.ts';
import type { CatalogFields } from '../../contract/parse-job.ts';
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

interface Options {
  readonly out?: string;
  readonly forecast: boolean;
  readonly resume?: string;
  readonly set: readonly string[];
  readonly json: boolean;
}

export function addTrain(
  program: Command, inSession: RunInSession, runJob: RunJob, catalogFields: () => Promise<CatalogFields>,
  forecast: Forecast | undefined,
): void {
  const command = program.command('train')
    .description('train what a job describes, or go on with an interrupted run')
    .argument('[job]', 'job file (.toml or .json)')
    .option('--out <run>', 'folder of the new run (default: runs/<job file>, numbered)')
    .option('--resume <run>', 'folder of a run to go on with')
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
    await inSession(options.json, async ({ show, onEvent, shouldStop }) => {
      const file = resume === undefined ? jobPath ?? '' : jobFileOf(resume);
      const { job, notes } = await readJobFile(file, await catalogFields(), options.set);
      for (const note of notes) onEvent({ kind: 'warning', code: 'job.migrated', text: note });
      const runFolder = resolve(resume ?? options.out ?? freeRunFolder(file));
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

/** `runs/<name of the job file>`, with the first number that is free. */
function freeRunFolder(jobPath: string): string {
  const name = basename(jobPath, extname(jobPath));
  let folder = join('runs', name);
  for (let number = 2; existsSync(folder); number++) folder = join('runs', `${name}-${number}`);
  return folder;
}
