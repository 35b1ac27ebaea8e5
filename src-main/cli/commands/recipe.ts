// adora recipe: a run as one file that opens as the same job.

import type { Command } from 'commander';

import { jsonOption } from '../arguments.ts';
import type { RecipeRequest } from '../../train/recipe-command.ts';
import type { RunInSession } from '../run-cli.ts';
import type { CommandContext, CommandResult } from '../session.ts';

export type { RecipeRequest };

export function addRecipe(
  program: Command, inSession: RunInSession,
  work: (request: RecipeRequest, context: CommandContext) => Promise<CommandResult>,
): void {
  program.command('recipe')
    .description('write a run as one small file: settings, hashes of base and pictures, versions; "adora train" opens it as the same job')
    .argument('<source>', 'folder of a run, or an adapter file that Adora trained')
    .option('--out <file>', 'file to write (default: <name>.recipe.json beside the exports, or beside the adapter)')
    .addOption(jsonOption())
    .action(async (source: string, { json, ...options }: Omit<RecipeRequest, 'source'> & { json: boolean }) => {
      await inSession(json, async (session) => session.result('recipe', await work({ source, ...options }, session)));
    });
}
