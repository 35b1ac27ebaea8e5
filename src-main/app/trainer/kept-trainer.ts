// A trainer process that does one command after the other for as long as they want the same model, so that a picture does not
// wait for a process to start and a model to be compiled when one like it was painted a moment ago.

import { assert } from '../../base/errors.ts';
import { UNFORESEEN, type CommandName, type FromTrainer, type ToTrainer } from '../../contract/trainer.ts';
import type { WorkerHost, WorkerProcess } from './worker-host.ts';

export interface KeptTrainer {
  /** Starts commands that want what `key` names, one at a time: in the process that is kept for it, or in a new one. */
  for(key: string): Promise<WorkerHost>;
  /** Ends the process, at work or not; resolves when it is gone, which is when the device is free. */
  giveBack(): Promise<void>;
}

type End = Parameters<Parameters<WorkerProcess['onExit']>[0]>[0];

interface Kept {
  readonly key: string;
  readonly process: WorkerProcess;
  readonly gone: Promise<void>;
  /** Of the command that is being done. */
  listeners: { message(message: FromTrainer): void; exit(end: End): void } | null;
  idle: NodeJS.Timeout | null;
}

/** Whoever looks at pictures moves a slider again within that time, and whoever has left needs the memory for something else. */
const IDLE_MILLISECONDS = 60_000;
/** A process that has nothing to do ends at once, unless something hangs. */
const END_MILLISECONDS = 10_000;

/** The process was told to end: how it does so says nothing of the command that was done. */
const IN_ORDER: End = { code: 0, signal: null };

export function createKeptTrainer(host: WorkerHost, idleMilliseconds = IDLE_MILLISECONDS): KeptTrainer {
  let kept: Kept | null = null;
  /** The process before, which may be at its end still. */
  let ended = Promise.resolve();

  const giveBack = (): Promise<void> => {
    const one = kept;
    if (one === null) return ended;
    kept = null;
    one.process.send({ kind: 'end' });
    const limit = setTimeout(() => one.process.kill(), END_MILLISECONDS);
    return ended = one.gone.then(() => clearTimeout(limit));
  };
  const begin = (key: string, command: CommandName): Kept => {
    const process = host.start(command);
    let markGone: () => void;
    const one: Kept = { key, process, gone: new Promise((resolve) => { markGone = resolve; }), listeners: null, idle: null };
    process.onMessage((message) => {
      const { listeners } = one;
      listeners?.message(message);
      if (message.kind !== 'done' && message.kind !== 'failed') return;
      // For whoever asked, the command is over.
      one.listeners = null;
      if (one === kept) {
        one.idle = setTimeout(() => void giveBack(), idleMilliseconds);
        one.idle.unref();
        // Nobody knows in what state an unforeseen error left it.
        if (message.kind === 'failed' && message.problem.code === UNFORESEEN) void giveBack();
      }
      listeners?.exit(IN_ORDER);
    });
    process.onExit((end) => {
      if (one === kept) kept = null;
      if (one.idle !== null) clearTimeout(one.idle);
      markGone();
      one.listeners?.exit(end);
    });
    return one;
  };

  return {
    giveBack,
    for: async (key) => {
      // Another model: the memory of the one before is wanted.
      if (kept !== null && kept.key !== key) void giveBack();
      await ended;
      return {
        start: (command) => {
          const one = kept ??= begin(key, command);
          assert(one.listeners === null, 'a kept trainer does one command at a time');
          if (one.idle !== null) clearTimeout(one.idle);
          one.idle = null;
          let message: (said: FromTrainer) => void = () => {};
          let exit: (end: End) => void = () => {};
          one.listeners = { message: (said) => message(said), exit: (end) => exit(end) };
          return {
            send: (given: ToTrainer) => one.process.send(given.kind === 'start' ? { ...given, keep: true } : given),
            onMessage: (listener) => { message = listener; },
            onExit: (listener) => { exit = listener; },
            kill: () => one.process.kill(),
          };
        },
      };
    },
  };
}
