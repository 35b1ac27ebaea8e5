// Trainers as child processes of Node.

import { fork } from 'node:child_process';

import type { FromTrainer } from '../../contract/trainer.ts';
import { engineArguments, engineEnvironment } from './engine-process.ts';
import type { WorkerHost } from './worker-host.ts';

/** @param entry built entry of the trainer */
export function forkHost(entry: string, env: NodeJS.ProcessEnv = process.env): WorkerHost {
  return {
    start: (command) => {
      const child = fork(entry, [], { serialization: 'advanced', execArgv: [...engineArguments], env: engineEnvironment(command, env), stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
      return {
        send: (message) => {
          // The end of the process is told by onExit; what is still to be said is lost then anyway.
          if (child.connected) child.send(message, () => {});
        },
        onMessage: (listener) => void child.on('message', (message) => listener(message as FromTrainer)),
        onExit: (listener) => {
          child.on('error', () => {});
          child.once('close', (code, signal) => listener({ code, signal }));
        },
        kill: () => void child.kill('SIGKILL'),
      };
    },
  };
}
