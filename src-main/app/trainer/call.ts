// One command in a trainer process of its own, from its start to its end.

import { UserError } from '../../base/errors.ts';
import type { TrainEvent } from '../../contract/events.ts';
import type { Text } from '../../contract/text.ts';
import type { CommandName, ControlAction, FromTrainer, RequestOf, ResultOf } from '../../contract/trainer.ts';
import type { WorkerHost } from './worker-host.ts';

export interface CallListeners {
  readonly onEvent?: (event: TrainEvent) => void;
  readonly onProgress?: (label: Text, done: number, total: number) => void;
  /** Asks for an orderly stop when it is aborted. */
  readonly signal?: AbortSignal;
  /** Ends the process instead: for commands that leave nothing unfinished. */
  readonly stopsAtOnce?: boolean;
}

export interface TrainerCall<Result> {
  /** Errors: those of the command; `trainer.crashed`, `trainer.silent` when the process ended or hung. */
  readonly result: Promise<Result>;
  /** Settles when the process is gone, which is when the device is free. */
  readonly gone: Promise<void>;
  control(action: ControlAction): void;
  kill(): void;
}

/** A process from which nothing was heard for so long is ended. Compiling a large model keeps one silent for minutes. */
const SILENCE_MILLISECONDS = 15 * 60 * 1000;
/** What a trainer asks for takes seconds; a driver that hangs is ended. */
const ASKED_MILLISECONDS = 60 * 1000;
/** An orderly stop that takes longer is one no more. */
const STOP_MILLISECONDS = 5 * 60 * 1000;

export function callTrainer<Name extends CommandName>(
  host: WorkerHost, command: Name, request: RequestOf<Name>, { onEvent, onProgress, signal, stopsAtOnce = false }: CallListeners = {},
): TrainerCall<ResultOf<Name>> {
  const worker = host.start(command);
  let heardAt = Date.now();
  let isSilent = false;
  let said: { readonly result: unknown } | null = null;
  let stopBy = Infinity;
  const control = (action: ControlAction): void => {
    if (action === 'stop') stopBy = Math.min(stopBy, Date.now() + STOP_MILLISECONDS);
    worker.send({ kind: 'control', action });
  };
  const answer = ({ id, command: other, request: given }: Extract<FromTrainer, { kind: 'ask' }>): void => {
    const asked = callTrainer(host, other, given, signal === undefined ? {} : { signal });
    const limit = setTimeout(() => asked.kill(), ASKED_MILLISECONDS);
    void asked.result.catch(() => null).then((answered) => {
      clearTimeout(limit);
      worker.send({ kind: 'answer', id, result: answered });
    });
  };
  let markGone: () => void;
  const gone = new Promise<void>((resolve) => { markGone = resolve; });
  const result = new Promise<ResultOf<Name>>((resolve, reject) => {
    const watch = setInterval(() => {
      if (Date.now() - heardAt < SILENCE_MILLISECONDS && Date.now() < stopBy) return;
      isSilent = true;
      worker.kill();
    }, 5000);
    watch.unref();
    const stop = (): void => (stopsAtOnce ? worker.kill() : control('stop'));
    signal?.addEventListener('abort', stop);
    worker.onMessage((message: FromTrainer) => {
      heardAt = Date.now();
      switch (message.kind) {
        case 'beat': return;
        case 'event': return onEvent?.(message.event);
        case 'progress': return onProgress?.(message.label, message.done, message.total);
        case 'said': said = { result: message.result }; return undefined;
        case 'ask': return answer(message);
        case 'done': return resolve(message.result as ResultOf<Name>);
        case 'failed': return reject(new UserError(message.problem.code, message.problem.message, message.problem.details ?? {}));
        default: return message satisfies never;
      }
    });
    worker.onExit(({ code, signal: by }) => {
      clearInterval(watch);
      signal?.removeEventListener('abort', stop);
      markGone();
      // All that follows is without effect when the command had its end before.
      if (said !== null && !isSilent) resolve(said.result as ResultOf<Name>);
      else reject(isSilent
        ? new UserError('trainer.silent', command === 'train' ? 'The trainer did not answer any more and was ended: resume from the last checkpoint.' : `The process that ${DOES[command]} did not answer any more and was ended: try it again.`, { command })
        : new UserError('trainer.crashed', crashText(command, by ?? `code ${code}`), { command, code, signal: by }));
    });
  });
  // Whoever does not look at the result has looked at `gone`.
  result.catch(() => {});
  worker.send({ kind: 'start', command, request });
  if (signal?.aborted) {
    if (stopsAtOnce) worker.kill();
    else control('stop');
  }
  return { result, gone, control, kill: () => worker.kill() };
}

/** Result of a call whose process is gone, so that the device is free for the next one. */
export async function finished<Result>({ result, gone }: TrainerCall<Result>): Promise<Result> {
  try {
    return await result;
  } finally {
    await gone;
  }
}

/** What a process of each command was doing, for the sentence that tells of its end. */
const DOES: Readonly<Record<CommandName, string>> = {
  train: 'trains', export: 'exports', paint: 'paints', analyze: 'measures layers', inspect: 'reads the file', model: 'reads the model', forecast: 'makes the forecast',
  devices: 'looks for devices', trial: 'tries a device', doctor: 'examines a device', tag: 'writes tags',
};

function crashText(command: CommandName, how: string): string {
  if (command === 'train') return `The trainer process ended by itself (${how}): resume from the last checkpoint. If it happens again, lower the batch or the resolution, or choose another device.`;
  return `The process that ${DOES[command]} ended by itself (${how}): try it again. If it happens again, there may be too little memory: close other programs, or choose another device in the settings.`;
}
