// Trainings one after the other, each in a process of its own. Who pauses one wants the device: it is set aside with what it saved,
// and those behind it wait until somebody says that they go on. A new training need not wait for a paused one.

import { UserError } from '../../base/errors.ts';
import type { Run, RunStateName } from '../../contract/api.ts';
import type { TrainEvent } from '../../contract/events.ts';
import type { Job } from '../../contract/job.ts';
import type { StudioContext } from '../studio-context.ts';
import { problemOf } from '../rpc.ts';
import { callTrainer, type TrainerCall } from '../trainer/call.ts';
import type { QueueFile, StoredEntry } from './queue-file.ts';
import { createThrottle, forWindow } from './relay.ts';
import { foldFacts, noFacts, readRun, type RunFacts } from './run-record.ts';

export interface QueuedRun {
  readonly id: string;
  readonly projectId: string;
  readonly folder: string;
  /** Folder of the project. */
  readonly project: string;
  readonly job: Job;
  readonly resume: boolean;
  readonly created: number;
  /** Writes what was decided by hand about pictures, just before training looks at them. */
  readonly prepare: () => Promise<void>;
}

interface Active extends QueuedRun {
  call: TrainerCall<'finished' | 'interrupted'> | null;
  state: RunStateName;
  facts: RunFacts;
  phase: TrainEvent | null;
}

export interface Queue {
  add(run: QueuedRun): void;
  /** Runs of an earlier session: they wait until `goOn`, while others may start. */
  hold(runs: readonly QueuedRun[]): void;
  /** Lets the runs that are held start; paused ones stay so. */
  goOn(): void;
  /** Takes the runs that are held off the queue. */
  forget(): void;
  held(): string[];
  /** Saves and sets the run aside. */
  pause(id: string): void;
  /** Puts a paused run before those that wait. */
  resume(id: string): Promise<void>;
  stop(id: string): void;
  sampleNow(id: string): void;
  move(id: string, position: number): void;
  /** Error: `runs.not-queued`. */
  remove(id: string): void;
  /** The state of a run that waits, works or failed before it had a folder; null for those on disk alone. */
  overlay(id: string): Run | null;
  active(): Run | null;
  /** In the order in which they were paused. */
  paused(): Run[];
  waiting(): Run[];
  /** Runs that are not at work now. */
  othersIn(projectId: string): Run[];
  phaseOf(id: string): TrainEvent | null;
  isPaused(id: string): boolean;
  folderOf(id: string): string | null;
  /** A checkpoint at the next step; for suspends. */
  save(): void;
  /** Stops with a checkpoint and waits for the process. */
  dispose(): Promise<void>;
}

type Describe = (run: QueuedRun, state: RunStateName, facts: RunFacts, queue: number | null) => Run;

export function createQueue(studio: StudioContext, file: QueueFile, describe: Describe): Queue {
  const { bus, host, folders, ids, now, turns } = studio;
  let waiting: QueuedRun[] = [];
  let active: Active | null = null;
  let paused: QueuedRun[] = [];
  let isClosing = false;
  /** Each with the paused run that it waits behind; null: left from an earlier session. */
  const held = new Map<string, string | null>();
  /** Runs that left nothing on disk. */
  const gone = new Map<string, Run>();

  const activeRun = (): Run | null => active && describe(active, active.state, active.facts, null);
  const waitingRuns = (): Run[] => waiting.map((run, at) => describe(run, 'queued', runFacts(run), at + 1));
  const pausedRuns = (): Run[] => paused.map((run) => describe(run, 'paused', runFacts(run), null));
  const heldIds = (): string[] => waiting.flatMap(({ id }) => (held.has(id) ? [id] : []));
  const stored = ({ folder, project, job, created }: QueuedRun): StoredEntry => ({ folder, project, job, created });
  /** Whoever stops a run does not want it again at the next start. */
  const toKeep = (): StoredEntry[] => [...(active && active.state !== 'stopping' ? [active] : []), ...paused, ...waiting].map(stored);
  const told = (): void => {
    if (!isClosing) file.write(toKeep());
    bus.emit('queue.changed', { active: activeRun(), paused: pausedRuns(), waiting: waitingRuns(), held: heldIds() });
  };
  const setState = (state: RunStateName): void => {
    if (!active || active.state === state) return;
    active.state = state;
    bus.emit('run.changed', activeRun()!);
    told();
  };
  const onEvent = (run: Active, isDue: (event: TrainEvent) => boolean) => (event: TrainEvent): void => {
    run.facts = foldFacts(run.facts, event);
    run.phase = event.kind === 'phase' ? event : event.kind === 'step' ? null : run.phase;
    if (isDue(event)) bus.emit('run.event', { runId: run.id, event: forWindow(event, ids) });
    // A process that waits would keep memory of the device and of the machine: it has saved, so it may go.
    if (event.kind === 'paused') run.call?.control('stop');
    else if (event.kind === 'step' && run.state === 'preparing') setState('running');
    else if (event.kind === 'sample' || event.kind === 'checkpoint') bus.emit('run.changed', activeRun()!);
  };
  const next = (): void => {
    if (active || isClosing) return;
    const run = waiting.find(({ id }) => !held.has(id));
    if (!run) return;
    waiting = waiting.filter((one) => one !== run);
    const current: Active = { ...run, call: null, state: 'preparing', facts: runFacts(run), phase: null };
    active = current;
    told();
    void work(current).then((ended) => {
      active = null;
      if (ended.state === 'paused') setAside(run);
      bus.emit('run.changed', ended);
      told();
      next();
    });
  };
  const setAside = (run: QueuedRun): void => {
    paused.push(run);
    for (const { id } of waiting) if (!held.has(id)) held.set(id, run.id);
  };
  /** Takes a paused run from where it was set aside; what waited behind it does so no more. */
  const takeBack = (id: string): QueuedRun | undefined => {
    const run = paused.find((one) => one.id === id);
    paused = paused.filter((one) => one !== run);
    for (const [waits, behind] of held) if (behind === id) held.delete(waits);
    return run;
  };
  /** Does not fail; gives what became of the run. */
  const work = async (run: Active): Promise<Run> => {
    let state: RunStateName = 'failed';
    let problem: Run['problem'] = null;
    try {
      await run.prepare();
      state = await untilEnded(run);
    } catch (error) {
      const known = error instanceof UserError;
      state = known && error.code.startsWith('trainer.') ? 'crashed' : 'failed';
      problem = problemOf(error);
    }
    const isOnDisk = readRun(run.folder) !== null;
    const ended: Run = { ...describe(run, state, run.facts, null), problem, canResume: (isOnDisk && state !== 'finished') || state === 'paused' };
    if (state !== 'paused' && (!isOnDisk || state === 'crashed')) gone.set(run.id, ended);
    return ended;
  };
  /** Errors: those of the trainer. */
  const untilEnded = async (run: Active): Promise<RunStateName> => {
    const isDue = createThrottle(now);
    await turns.take();
    const call = callTrainer(host, 'train', { job: run.job, runFolder: run.folder, resume: run.resume, cacheFolder: `${folders.cache}/encoded` }, { onEvent: onEvent(run, isDue) });
    run.call = call;
    bus.emit('run.changed', describe(run, run.state, run.facts, null));
    if (run.state === 'stopping' || run.state === 'pausing') call.control('stop');
    try {
      if (await call.result === 'finished') return 'finished';
    } finally {
      await call.gone;
      run.call = null;
      turns.leave();
    }
    return run.state === 'pausing' && !isClosing ? 'paused' : 'interrupted';
  };
  const runFacts = (run: QueuedRun): RunFacts => readRun(run.folder)?.facts ?? { ...noFacts, total: run.job.train.steps, adapter: run.job.adapter.kind, created: run.created };
  const own = (id: string): Active => {
    if (active?.id !== id) throw new UserError('runs.not-active', 'This run is not at work now.', { id });
    return active;
  };
  return {
    add: (run) => {
      gone.delete(run.id);
      held.delete(run.id);
      if (active?.id === run.id) return;
      takeBack(run.id);
      if (!waiting.some(({ id }) => id === run.id)) waiting.push(run);
      told();
      next();
    },
    hold: (runs) => {
      for (const { id } of runs) held.set(id, null);
      waiting.push(...runs);
    },
    goOn: () => {
      held.clear();
      told();
      next();
    },
    forget: () => {
      waiting = waiting.filter(({ id }) => !held.has(id));
      held.clear();
      told();
    },
    held: heldIds,
    pause: (id) => {
      if (paused.some((run) => run.id === id)) return;
      const run = own(id);
      if (run.state !== 'running' && run.state !== 'preparing') return;
      // Preparations have nothing to save but their cache.
      run.call?.control(run.state === 'running' ? 'pause' : 'stop');
      setState('pausing');
    },
    resume: async (id) => {
      await paused.find((run) => run.id === id)?.prepare();
      const run = takeBack(id);
      if (!run) return;
      waiting.unshift({ ...run, resume: readRun(run.folder) !== null });
      told();
      next();
    },
    stop: (id) => {
      const aside = takeBack(id);
      if (aside) {
        const ended = { ...describe(aside, 'interrupted', runFacts(aside), null), canResume: readRun(aside.folder) !== null };
        if (!ended.canResume) gone.set(id, ended);
        bus.emit('run.changed', ended);
      }
      if (aside || waiting.some((run) => run.id === id)) {
        waiting = waiting.filter((run) => run.id !== id);
        told();
        next();
        return;
      }
      const run = own(id);
      run.call?.control('stop');
      setState('stopping');
    },
    sampleNow: (id) => own(id).call?.control('sample'),
    move: (id, position) => {
      const run = waiting.find((one) => one.id === id);
      if (!run) throw new UserError('runs.not-queued', 'This run does not wait in the queue.', { id });
      waiting = waiting.filter((one) => one.id !== id);
      waiting.splice(position - 1, 0, run);
      told();
    },
    remove: (id) => {
      if (!waiting.some((run) => run.id === id)) throw new UserError('runs.not-queued', 'This run does not wait in the queue.', { id });
      waiting = waiting.filter((run) => run.id !== id);
      told();
    },
    overlay: (id) => (active?.id === id ? activeRun() : [...pausedRuns(), ...waitingRuns()].find((run) => run.id === id) ?? gone.get(id) ?? null),
    active: activeRun,
    paused: pausedRuns,
    waiting: waitingRuns,
    othersIn: (projectId) => [...pausedRuns(), ...waitingRuns(), ...gone.values()].filter((run) => run.projectId === projectId),
    phaseOf: (id) => (active?.id === id ? active.phase : null),
    isPaused: (id) => paused.some((run) => run.id === id),
    folderOf: (id) => (active?.id === id ? active.folder : [...paused, ...waiting].find((run) => run.id === id)?.folder ?? null),
    save: () => {
      if (active?.state === 'running') active.call?.control('save');
    },
    dispose: async () => {
      if (!isClosing) file.write(toKeep());
      isClosing = true;
      waiting = [];
      paused = [];
      const call = active?.call;
      call?.control('stop');
      await Promise.all([call?.gone, file.settled()]);
    },
  };
}
