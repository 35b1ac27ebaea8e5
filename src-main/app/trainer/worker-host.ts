// Starting trainer processes, whatever kind of process it is.

import type { CommandName, FromTrainer, ToTrainer } from '../../contract/trainer.ts';

export interface WorkerProcess {
  send(message: ToTrainer): void;
  onMessage(listener: (message: FromTrainer) => void): void;
  /** Once, when the process is gone. */
  onExit(listener: (end: { readonly code: number | null; readonly signal: string | null }) => void): void;
  kill(): void;
}

export interface WorkerHost {
  /** @param command the one command that the process will run */
  start(command: CommandName): WorkerProcess;
}
