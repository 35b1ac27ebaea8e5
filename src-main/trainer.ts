// Entry of the trainer process. It is told one command, does it and ends, unless it is kept for the next one. It also ends,
// with a checkpoint, when the app that started it is gone.

import type { FromTrainer, ToTrainer } from './contract/trainer.ts';
import { useTrials } from './runtime/onnx/device-trials.ts';
import { createControl } from './trainer/control.ts';
import { outcomeOf } from './trainer/outcome.ts';

/** Electron's utility processes have a port; forked processes a channel. */
interface ParentPort {
  postMessage(message: unknown): void;
  on(event: 'message', listener: (event: { readonly data: unknown }) => void): unknown;
}

const BEAT_MILLISECONDS = 2000;
/** For what is still on its way to the app when the work is done. */
const LAST_WORDS_MILLISECONDS = 3000;

const port = (process as NodeJS.Process & { readonly parentPort?: ParentPort }).parentPort;
let control = createControl();
/** What the app was asked, until it answers. */
const asked = new Map<number, (result: unknown) => void>();
let nextQuestion = 1;
let isBusy = false;
/** A command is done already, and this process was kept for another. */
let isKept = false;
/** No other command comes after the one that is being done. */
let isLast = false;

/** Settles once the app has taken it. A message to an app that is gone is dropped. */
function send(message: FromTrainer): Promise<void> {
  if (port) {
    port.postMessage(message);
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    if (!process.connected) resolve();
    else process.send!(message, undefined, undefined, () => resolve());
  });
}

async function start({ command, request, keep = false }: Extract<ToTrainer, { kind: 'start' }>): Promise<void> {
  isBusy = true;
  isLast ||= !keep;
  // What was asked of the command before is not asked of this one.
  if (isKept) control = createControl();
  const beat = setInterval(() => void send({ kind: 'beat' }), BEAT_MILLISECONDS);
  const outcome = await outcomeOf(command, request, control, (message) => void send(message));
  clearInterval(beat);
  isKept = !isLast;
  // Before it is told: the next command may follow at once.
  isBusy = !isKept;
  await send(outcome);
  if (isKept) return;
  // Libraries may keep threads that would hold the process.
  setTimeout(() => process.exit(0), LAST_WORDS_MILLISECONDS).unref();
  if (port) process.exit(0);
  if (process.connected) process.disconnect();
}

function receive(message: ToTrainer): void {
  if (message.kind === 'control') control.act(message.action);
  else if (message.kind === 'answer') {
    asked.get(message.id)?.(message.result);
    asked.delete(message.id);
  }
  else if (message.kind === 'end') {
    isLast = true;
    if (isBusy) control.act('stop');
    else process.exit(0);
  }
  else if (!isBusy) void start(message);
}

if (port) {
  port.on('message', ({ data }) => receive(data as ToTrainer));
  // Electron's processes cannot start Node, so the app starts a process for each device.
  useTrials((device) => new Promise((resolve) => {
    const id = nextQuestion++;
    asked.set(id, (result) => resolve(result as null));
    void send({ kind: 'ask', id, command: 'trial', request: { device } });
  }));
}
else {
  process.on('message', (message) => receive(message as ToTrainer));
  process.on('disconnect', () => {
    if (isBusy) control.act('stop');
    else process.exit(0);
  });
}
// A terminal sends Ctrl-C to the whole group; the app decides what happens then and says so.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {
  if (isKept && !isBusy) process.exit(0);
  control.act('stop');
});
