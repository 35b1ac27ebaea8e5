// adora export: adapter files and merged checkpoints of a run.

import { Option, type Command } from 'commander';

import { consumers, type Consumer } from '../../contract/job.ts';
import { jsonOption, wholeNumber } from '../arguments.ts';
import type { RunInSession } from '../run-cli.ts';
import type { CommandContext, CommandResult } from '../session.ts';

export interface ExportRequest {
  readonly run: string;
  /** Checkpoint to export; the last one if left out. */
  readonly step?: number;
  readonly for?: Consumer;
  /** Write the base model with the adapter merged in, not the adapter. */
  readonly merge: boolean;
  readonly dtype?: 'f16' | 'bf16' | 'f32';
  readonly out?: string;
}

export function addExport(
  program: Command, inSession: RunInSession,
  write: (request: ExportRequest, context: CommandContext) => Promise<CommandResult>,
): void {
  program.command('export')
    .description('write the adapter of a run for another program, or a merged checkpoint')
    .argument('<run>', 'folder of a run')
    .option('--step <n>', 'checkpoint to export (default: the last)', wholeNumber(0))
    .addOption(new Option('--for <program>', "program that shall read it (default: the job's)").choices([...consumers]))
    .option('--merge', 'write the base model with the adapter merged in', false)
    .addOption(new Option('--dtype <format>', "number format (default: the job's)").choices(['f16', 'bf16', 'f32']))
    .option('--out <path>', 'file or folder to write (default: in the folder of the run)')
    .addOption(jsonOption())
    .action(async (run: string, { json, ...options }: Omit<ExportRequest, 'run'> & { json: boolean }) => {
      await inSession(json, async (session) => session.result('export', await write({ run, ...options }, session)));
    });
}
