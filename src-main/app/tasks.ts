// Long work in the background: progress, cancelling, failure.

import { randomBytes } from 'node:crypto';

import type { Task } from '../contract/api.ts';
import type { Text } from '../contract/text.ts';
import type { Bus } from './bus.ts';
import { problemOf } from './rpc.ts';

export interface TaskContext {
  readonly signal: AbortSignal;
  progress(done: number, total: number, label?: Text): void;
}

export interface TaskRequest {
  readonly kind: Task['kind'];
  readonly subject: string | null;
  /** Text of the code `task.<kind>`, unless it is another's. */
  readonly label: string | Text;
  readonly unit: string;
  /** A task with the key of a running one is not started again; the running one's id is given. */
  readonly key?: string;
}

export interface Tasks {
  start(request: TaskRequest, work: (context: TaskContext) => Promise<void>): string;
  list(): Task[];
  cancel(id: string): void;
  /** Cancels everything and waits for it. */
  dispose(): Promise<void>;
}

/** Milliseconds between two reports of progress; the first and the last always go out. */
const REPORT_INTERVAL = 100;
/** Ended tasks that are remembered, for windows that were away. */
const REMEMBERED = 30;

const named = ({ code, data, text }: Text): Pick<Task, 'code' | 'data' | 'label'> => ({ code, data, label: text });

export function createTasks(bus: Bus, now: () => number = Date.now): Tasks {
  const tasks = new Map<string, { task: Task; stop: AbortController; work: Promise<void>; key: string | null }>();
  const forget = (): void => {
    const ended = [...tasks].filter(([, { task }]) => task.state !== 'running');
    for (const [id] of ended.slice(0, Math.max(0, ended.length - REMEMBERED))) tasks.delete(id);
  };
  return {
    start: ({ kind, subject, label, unit, key }, work) => {
      const same = key === undefined ? undefined : [...tasks.values()].find((one) => one.key === key && one.task.state === 'running' && !one.stop.signal.aborted);
      if (same) return same.task.id;
      const id = randomBytes(12).toString('base64url');
      const stop = new AbortController();
      const entry = {
        task: { id, kind, subject, ...named(typeof label === 'string' ? { code: `task.${kind}`, data: {}, text: label } : label), state: 'running', done: 0, total: 0, unit, problem: null } as Task,
        stop, work: Promise.resolve(), key: key ?? null,
      };
      let reportedAt = -Infinity;
      const set = (change: Partial<Task>, isDue: boolean): void => {
        entry.task = { ...entry.task, ...change };
        if (!isDue && now() - reportedAt < REPORT_INTERVAL) return;
        reportedAt = now();
        bus.emit('task.progress', entry.task);
      };
      tasks.set(id, entry);
      const run = async (): Promise<void> => {
        // The caller gets the id before anything is told about it.
        await Promise.resolve();
        set({}, true);
        try {
          await work({
            signal: stop.signal,
            progress: (done, total, text) => {
              if (entry.task.state === 'running') set({ done, total, ...(text === undefined ? {} : named(text)) }, done === total);
            },
          });
          set({ state: 'done' }, true);
        } catch (error) {
          if (stop.signal.aborted) set({ state: 'cancelled' }, true);
          else set({ state: 'failed', problem: problemOf(error) }, true);
        }
        forget();
      };
      entry.work = run();
      return id;
    },
    list: () => [...tasks.values()].map(({ task }) => task),
    cancel: (id) => tasks.get(id)?.stop.abort(),
    dispose: async () => {
      for (const { stop } of tasks.values()) stop.abort();
      await Promise.allSettled([...tasks.values()].map(({ work }) => work));
    },
  };
}
