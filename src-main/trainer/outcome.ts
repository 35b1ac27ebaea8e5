// A command from its request to what the app is told of its end.

import { UserError } from '../base/errors.ts';
import { UNFORESEEN, type CommandName, type FromTrainer } from '../contract/trainer.ts';
import { commands } from './commands.ts';
import type { CommandContext } from './context.ts';

/** Does not fail: errors are told as well. */
export async function outcomeOf(command: CommandName, request: unknown, control: CommandContext['control'], send: (message: FromTrainer) => void): Promise<FromTrainer> {
  try {
    const work = commands[command] as (request: unknown, context: CommandContext) => Promise<unknown>;
    const result = await work(request, {
      control,
      onSaid: (known) => send({ kind: 'said', result: known }),
      onEvent: (event) => send({ kind: 'event', event }),
      onProgress: (label, done, total, unit) => send({ kind: 'progress', label, done, total, unit }),
    });
    return { kind: 'done', result };
  } catch (error) {
    const { code, message, data } = error instanceof UserError ? error : { code: UNFORESEEN, message: error instanceof Error ? error.message : String(error), data: {} };
    if (!(error instanceof UserError)) process.stderr.write(`${error instanceof Error ? error.stack ?? error.message : String(error)}\n`);
    return { kind: 'failed', problem: { code, message, details: { ...data } } };
  }
}
