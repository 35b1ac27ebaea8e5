// adora inspect FILE: what a checkpoint or an adapter file holds.

import type { Command } from 'commander';

import { jsonOption } from '../arguments.ts';
import type { RunInSession } from '../run-cli.ts';
import type { CommandContext, CommandResult } from '../session.ts';

export interface InspectRequest {
  readonly file: string;
  /** List every tensor. */
  readonly tensors: boolean;
}

export function addInspect(
  program: Command, inSession: RunInSession,
  inspect: (request: InspectRequest, context: CommandContext) => Promise<CommandResult>,
): void {
  program.command('inspect')
    .description('say what a checkpoint, model folder or adapter file holds')
    .argument('<file>', 'file (.safetensors) or model folder')
    .option('--tensors', 'list every tensor', false)
    .addOption(jsonOption())
    .action(async (file: string, { json, ...options }: Omit<InspectRequest, 'file'> & { json: boolean }) => {
      await inSession(json, async (session) => session.result('inspect', await inspect({ file, ...options }, session)));
    });
}
