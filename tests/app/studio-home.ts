// A studio on a home of its own, with a stand-in for the trainer or with a real one that was built for the test.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { build } from 'vite';

import type { EventData, EventName } from '../../src-main/contract/api.ts';
import type { FromTrainer, ToTrainer } from '../../src-main/contract/trainer.ts';
import { createStudio, type Studio } from '../../src-main/app/studio.ts';
import type { WorkerHost } from '../../src-main/app/trainer/worker-host.ts';
import { buildFolder } from '../scratch.ts';

export interface Home {
  readonly folder: string;
  readonly studio: Studio;
  /** The next event of this kind that fits. */
  next<Name extends EventName>(event: Name, fits?: (data: EventData<Name>) => boolean): Promise<EventData<Name>>;
  /** Waits for a task; its last state. */
  finished(taskId: string): Promise<EventData<'task.progress'>>;
  close(): Promise<void>;
}

/** @param folder of an earlier home, to open it again */
export function openHome(host: WorkerHost, folder = mkdtempSync(join(tmpdir(), 'adora-studio-'))): Home {
  const folders = { config: join(folder, 'config'), data: join(folder, 'data'), cache: join(folder, 'cache') };
  const studio = createStudio({ mode: 'browser', host, assets: 'assets', folders });
  const { bus, tasks } = studio.context;
  const next: Home['next'] = (event, fits = () => true) => new Promise((resolve) => {
    const stop = bus.onAny((name, data) => {
      if (name !== event || !fits(data as never)) return;
      stop();
      resolve(data as never);
    });
  });
  return {
    folder, studio, next,
    finished: async (taskId) => {
      const known = tasks.list().find(({ id }) => id === taskId);
      return known && known.state !== 'running' ? known : next('task.progress', ({ id, state }) => id === taskId && state !== 'running');
    },
    close: async () => {
      await studio.dispose();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A trainer that answers at once. `answer` gives the messages for a command. */
export function standInHost(answer: (message: ToTrainer & { kind: 'start' }) => FromTrainer[]): WorkerHost {
  return {
    start: () => {
      const listeners: ((message: FromTrainer) => void)[] = [];
      const exits: ((end: { code: number | null; signal: string | null }) => void)[] = [];
      return {
        send: (message) => {
          if (message.kind !== 'start') return;
          setImmediate(() => {
            for (const reply of answer(message)) for (const listener of listeners) listener(reply);
            for (const exit of exits) exit({ code: 0, signal: null });
          });
        },
        onMessage: (listener) => void listeners.push(listener),
        onExit: (listener) => void exits.push(listener),
        kill: () => {},
      };
    },
  };
}

/** A host whose every command fails politely. */
export const noTrainer = standInHost(() => [{ kind: 'failed', problem: { code: 'test.none', message: 'There is no trainer in this test.' } }]);

/** Builds the trainer's entry; inside of the project, so that its packages are found. Remove the folder at the end. */
export async function buildTrainer(): Promise<{ entry: string; folder: string }> {
  const folder = buildFolder();
  await build({
    configFile: false, logLevel: 'error', publicDir: false,
    build: { ssr: 'src-main/trainer.ts', outDir: folder, target: 'node20', minify: false, rolldownOptions: { output: { entryFileNames: 'trainer.js' } } },
  });
  return { entry: join(process.cwd(), folder, 'trainer.js'), folder };
}
