// The part of the API about runs.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { UserError } from '../../base/errors.ts';
import type { runsApi } from '../../contract/api-runs.ts';
import type { Draft, Run, RunStateName } from '../../contract/api.ts';
import type { Job } from '../../contract/job.ts';
import { parseJob } from '../../contract/parse-job.ts';
import { catalogFields } from '../../catalog/index.ts';
import { writeFileAtomic } from '../../files/atomic-write.ts';
import { selectionText, type Selection } from '../../dataset/selection.ts';
import { draftJob } from '../projects/draft-job.ts';
import { folderName, runsFolderOf, type StoredProject } from '../projects/project-file.ts';
import type { Handlers } from '../rpc.ts';
import type { StudioContext } from '../studio-context.ts';
import { createQueue, type Queue, type QueuedRun } from './queue.ts';
import { openQueueFile } from './queue-file.ts';
import { forWindow, thinned } from './relay.ts';
import { chosenStep, probesOf } from './chosen.ts';
import { listRuns, readRun, readRunEvents, type RunFacts, type StoredRun } from './run-record.ts';

type RunMethods = Exclude<keyof typeof runsApi, 'runs.magnitude'>;

export interface RunsPart {
  readonly handlers: Pick<Handlers, RunMethods>;
  readonly queue: Queue;
  runsOf(projectId: string): Run[];
  /** Folder of a run of a listed project. Error: `run.unknown`. */
  folderOf(runId: string): string;
}

export interface RunsNeeds {
  readonly project: (projectId: string) => { readonly folder: string; readonly stored: StoredProject };
  readonly projectIds: () => readonly string[];
  readonly selectionOf: (projectId: string) => Promise<Selection>;
  readonly modelName: (path: string) => string;
}

const MOST_EVENTS = 5000;

export function createRuns(studio: StudioContext, { project, projectIds, selectionOf, modelName }: RunsNeeds): RunsPart {
  const { folders, ids, now, settings } = studio;
  const describe = (run: Pick<QueuedRun, 'id' | 'projectId' | 'job'>, state: RunStateName, facts: RunFacts, queue: number | null): Run =>
    runOf({ ...run, name: run.job.name, model: facts.model || modelName(run.job.base.model) }, state, facts, queue);
  const runOf = (run: { readonly id: string; readonly projectId: string; readonly name: string; readonly model: string }, state: RunStateName, facts: RunFacts, queue: number | null): Run => ({
    id: run.id, projectId: run.projectId, name: run.name, state, created: facts.created, step: facts.step, total: facts.total, adapter: facts.adapter,
    model: run.model, device: facts.device, loss: facts.loss, firstProbe: facts.firstProbe, lastProbe: facts.lastProbe, seconds: facts.seconds,
    checkpoint: facts.checkpoint, lastSample: facts.lastSample !== null && existsSync(facts.lastSample) ? ids.image(facts.lastSample) : null,
    canResume: ['paused', 'interrupted', 'failed', 'crashed'].includes(state), queue, problem: facts.problem,
  });
  const queueFile = openQueueFile(folders.data);
  const queue = createQueue(studio, queueFile, describe);

  const stateOf = ({ facts }: StoredRun): RunStateName => (facts.end === 'paused' ? 'interrupted' : facts.end ?? 'crashed');
  const stored = (projectId: string, run: StoredRun): Run => {
    const id = ids.of(run.folder);
    return queue.overlay(id) ?? runOf({ id, projectId, name: run.name, model: run.facts.model }, stateOf(run), run.facts, null);
  };
  const runsOf = (projectId: string): Run[] => {
    const onDisk = listRuns(runsFolderOf(project(projectId).folder)).map((run) => stored(projectId, run));
    const seen = new Set(onDisk.map(({ id }) => id));
    const active = queue.active();
    const others = [...(active?.projectId === projectId ? [active] : []), ...queue.othersIn(projectId)].filter(({ id }) => !seen.has(id));
    return [...others, ...onDisk];
  };
  const find = (runId: string): { run: Run; folder: string; projectId: string } => {
    for (const projectId of projectIds()) {
      const run = runsOf(projectId).find(({ id }) => id === runId);
      if (run) return { run, projectId, folder: queue.folderOf(runId) ?? ids.path(runId) };
    }
    throw new UserError('run.unknown', 'This run is not in any project of the list any more.', { runId });
  };
  const freeFolder = (projectId: string, name: string): string => {
    const parent = runsFolderOf(project(projectId).folder);
    const taken = [...(existsSync(parent) ? readdirSync(parent) : []), ...[...queue.paused(), ...queue.waiting(), queue.active()].map((run) => queue.folderOf(run?.id ?? '') ?? '')]
      .map((one) => Number(/(?:^|[\\/])(\d+)-[^\\/]*$/.exec(one)?.[1] ?? 0));
    return join(parent, `${String(Math.max(0, ...taken) + 1).padStart(3, '0')}-${folderName(name)}`);
  };
  /** Runs of a project can be told apart: the second of a name is called "name 2". */
  const freeName = (projectId: string, name: string): string => {
    const taken = new Set(runsOf(projectId).map((run) => run.name));
    let free = name;
    for (let number = 2; taken.has(free); number++) free = `${name} ${number}`;
    return free;
  };
  /** The choices of pictures lie outside of the run's folder, which the trainer wants empty. */
  const selectionFile = (folder: string): string => `${folder}.selection.json`;
  const prepare = (projectId: string, file: string) => async (): Promise<void> => writeFileAtomic(file, selectionText(await selectionOf(projectId)));

  const queued = (projectId: string, folder: string, job: Job, resume: boolean, created: number): QueuedRun => {
    const { selection } = job.data;
    const isOurs = selection === selectionFile(folder);
    return { id: ids.of(folder), projectId, folder, project: project(projectId).folder, job, resume, created, prepare: isOurs ? prepare(projectId, selection) : async () => {} };
  };
  /** What waited when the program ended, less what has come to its end or lost its project. */
  const fromLastTime = (): QueuedRun[] => queueFile.read().flatMap(({ folder, project: owner, job, created }) => {
    const projectId = ids.of(owner);
    const before = readRun(folder);
    if (!projectIds().includes(projectId) || before?.facts.end === 'finished') return [];
    return [queued(projectId, folder, job, before !== null, created)];
  });
  queue.hold(fromLastTime());

  const again = (runId: string): Run => {
    const { folder, projectId } = find(runId);
    const record = readRun(folder);
    const result = record && parseJob(record.job, catalogFields());
    if (!record || !result?.ok) throw new UserError('run.bad-job', 'The job of this run cannot be read, so it cannot be resumed: start a new one.', { runId });
    queue.add(queued(projectId, folder, result.job, true, now()));
    return find(runId).run;
  };
  const command = (act: (runId: string) => void | Promise<void>) => async ({ runId }: { readonly runId: string }): Promise<Run> => {
    const before = find(runId).run;
    await act(runId);
    return queue.overlay(runId) ?? { ...before, state: before.state === 'queued' ? 'interrupted' : before.state, queue: null };
  };
  const events = (folder: string) => readRunEvents(folder).map((event) => forWindow(event, ids));

  return {
    queue, runsOf,
    folderOf: (runId) => find(runId).folder,
    handlers: {
      'runs.start': async ({ projectId, draft, name }) => {
        const { stored: owner } = project(projectId);
        const title = freeName(projectId, name ?? owner.name);
        const checked = draftJob(owner, draft, { name: title, device: settings.get().device });
        if (!checked.ok) throw new UserError('job.invalid', `This cannot be trained yet: ${checked.issues[0]?.text ?? ''}`, { issues: checked.issues });
        await selectionOf(projectId);
        const folder = freeFolder(projectId, title);
        const selection = selectionFile(folder);
        const job = { ...checked.job, data: { ...checked.job.data, selection } };
        const id = ids.of(folder);
        queue.add(queued(projectId, folder, job, false, now()));
        return queue.overlay(id) ?? find(id).run;
      },
      'runs.list': ({ projectId }) => ({ runs: (projectId === undefined ? projectIds() : [projectId]).flatMap(runsOf).sort((a, b) => b.created - a.created) }),
      'runs.queue': () => ({ active: queue.active(), paused: queue.paused(), waiting: queue.waiting(), held: queue.held() }),
      'runs.goOn': () => {
        queue.goOn();
        return {};
      },
      'runs.forget': () => {
        queue.forget();
        return {};
      },
      'runs.snapshot': ({ runId, maxSteps }) => {
        const { run, folder } = find(runId);
        const all = events(folder);
        const phase = queue.phaseOf(runId);
        return { run, events: thinned(all, maxSteps), phase, lastSeq: all.at(-1)?.seq ?? -1, draft: draftOf(readRun(folder)) };
      },
      'runs.events': ({ runId, fromSeq }) => {
        const later = events(find(runId).folder).filter(({ seq }) => seq >= fromSeq);
        return { events: later.slice(0, MOST_EVENTS), more: later.length > MOST_EVENTS };
      },
      'runs.pause': command((runId) => queue.pause(runId)),
      'runs.resume': async ({ runId }) => {
        if (!queue.isPaused(runId)) return again(runId);
        await queue.resume(runId);
        return find(runId).run;
      },
      'runs.stop': command((runId) => queue.stop(runId)),
      'runs.sampleNow': command((runId) => queue.sampleNow(runId)),
      'runs.remove': ({ runId }) => {
        queue.remove(runId);
        return {};
      },
      'runs.move': ({ runId, position }) => {
        queue.move(runId, position);
        return {};
      },
      'runs.samples': ({ runId }) => {
        const counts = new Map<number, number>();
        return {
          samples: readRunEvents(find(runId).folder).flatMap((event) => {
            if (event.kind !== 'sample' || !existsSync(event.file)) return [];
            const index = counts.get(event.step) ?? 0;
            counts.set(event.step, index + 1);
            return [{ step: event.step, url: ids.image(event.file), prompt: event.prompt, seed: event.seed, index }];
          }),
        };
      },
      'runs.checkpoints': ({ runId }) => {
        const { folder } = find(runId);
        return { ...probesOf(folder), chosen: chosenStep(folder) };
      },
    },
  };
}

/** The job of a run as a draft. */
function draftOf(run: StoredRun | null): Draft {
  if (!run) return {};
  const { base, data, name: _, ...rest } = run.job;
  const less = (part: unknown, keys: readonly string[]): Draft =>
    Object.fromEntries(Object.entries((part ?? {}) as Draft).filter(([key]) => !keys.includes(key)));
  return { ...rest, base: less(base, ['model']), data: less(data, ['folders', 'selection']) };
}
