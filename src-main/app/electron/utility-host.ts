// Trainers as utility processes of Electron, which also work where Electron may not run as Node.

import { utilityProcess } from 'electron';

import type { FromTrainer } from '../../contract/trainer.ts';
import { engineEnvironment, utilityArguments } from '../trainer/engine-process.ts';
import type { WorkerHost } from '../trainer/worker-host.ts';

/** @param entry built entry of the trainer */
export function utilityHost(entry: string): WorkerHost {
  return {
    start: (command) => {
      const child = utilityProcess.fork(entry, [], { serviceName: 'Adora trainer', stdio: 'inherit', execArgv: [...utilityArguments], env: engineEnvironment(command, process.env) });
      let isAlive = true;
      child.once('exit', () => { isAlive = false; });
      return {
        send: (message) => {
          // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a process has no origin
          if (isAlive) child.postMessage(message);
        },
        onMessage: (listener) => void child.on('message', (message: unknown) => listener(message as FromTrainer)),
        onExit: (listener) => void child.once('exit', (code) => listener({ code, signal: null })),
        kill: () => void child.kill(),
      };
    },
  };
}
