// adora import: settings of another trainer as a job.

import type { Command } from 'commander';

import { jsonOption } from '../arguments.ts';
import type { ImportRequest } from '../../app/import-command.ts';
import type { RunInSession } from '../run-cli.ts';
import type { CommandContext, CommandResult } from '../session.ts';

export type { ImportRequest };

export function addImport(
  program: Command, inSession: RunInSession,
  work: (request: ImportRequest, context: CommandContext) => Promise<CommandResult>,
): void {
  program.command('import')
    .description("turn another trainer's settings (kohya TOML or JSON, OneTrainer JSON, ai-toolkit YAML or JSON) into a job, and list what has no counterpart")
    .argument('<file>', 'file with settings (.toml, .json or .yaml)')
    .option('--to <job>', 'job file to write (.toml); printed if left out')
    .option('--force', 'replace a job file that is there', false)
    .addOption(jsonOption())
    .action(async (file: string, { json, ...options }: Omit<ImportRequest, 'file'> & { json: boolean }) => {
      await inSession(json, async (session) => session.result('import', await work({ file, ...options }, session)));
    });
}
