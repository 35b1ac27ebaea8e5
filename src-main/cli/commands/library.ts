// adora library [FOLDER...]: the models and adapters that lie in folders.

import type { Command } from 'commander';

import { jsonOption } from '../arguments.ts';
import type { RunInSession } from '../run-cli.ts';
import type { CommandContext, CommandResult } from '../session.ts';

export interface LibraryRequest {
  /** The usual places when empty. */
  readonly folders: readonly string[];
}

export function addLibrary(
  program: Command, inSession: RunInSession,
  library: (request: LibraryRequest, context: CommandContext) => Promise<CommandResult>,
): void {
  program.command('library')
    .description('list models and adapters: family, number format, what is predicted')
    .argument('[folder...]', 'folders with models, or those of ComfyUI, A1111, Forge, InvokeAI; the usual places if left out')
    .addOption(jsonOption())
    .action(async (folders: string[], { json }: { json: boolean }) => {
      await inSession(json, async (session) => session.result('library', await library({ folders }, session)));
    });
}
