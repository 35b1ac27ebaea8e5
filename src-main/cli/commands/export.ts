// adora export: adapter files, merged checkpoints and differences, from a run or from an adapter file.

import { Option, type Command } from 'commander';

import { exportKinds } from '../../contract/export-kinds.ts';
import { consumers } from '../../contract/job.ts';
import { axisOption, jsonOption, share, toldBaseOptions, wholeNumber } from '../arguments.ts';
import type { ExportRequest } from '../../train/export-command.ts';
import type { RunInSession } from '../run-cli.ts';
import type { CommandContext, CommandResult } from '../session.ts';

export type { ExportRequest };

export function addExport(
  program: Command, inSession: RunInSession,
  write: (request: ExportRequest, context: CommandContext) => Promise<CommandResult>,
): void {
  const command = program.command('export')
    .description('write the adapter of a run (or of a file) for another program, or the model with it merged in')
    .argument('<run|file>', 'folder of a run, or an adapter file (.safetensors)')
    .option('--base <model>', 'base model of an adapter file');
  toldBaseOptions(command)
    .addOption(axisOption())
    .option('--step <n>', 'checkpoint to export (default: the one chosen in the studio, else the last)', wholeNumber(0))
    .addOption(new Option('--for <program>', "program that shall read it (default: the job's)").choices([...consumers]))
    .addOption(new Option('--as <kind>', 'the adapter as it is (dora), a plain LoRA with its error measured, the merged model, or whole differences').choices([...exportKinds]))
    .option('--merge', 'the same as --as merged', false)
    .option('--rank <n>', 'rank of the plain LoRA (default: four times that of the DoRA)', wholeNumber(1))
    .option('--energy <share>', 'share of the change that the plain LoRA must hold, such as 0.99', share)
    .addOption(new Option('--dtype <format>', "number format (default: the job's; for a merged model the base's)").choices(['f16', 'bf16', 'f32']))
    .option('--out <path>', 'folder to write to (default: in the folder of the run)')
    .option('--sample', 'paint a picture with the trained values and one with the file (default: for small models)')
    .option('--no-sample', 'paint none')
    .addOption(jsonOption())
    .action(async (run: string, { json, ...options }: Omit<ExportRequest, 'run'> & { json: boolean }) => {
      await inSession(json, async (session) => session.result('export', await write({ run, ...options }, session)));
    });
}
