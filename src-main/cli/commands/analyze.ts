// adora analyze RUN: change of magnitude and direction, per layer and checkpoint.

import type { Command } from 'commander';

import { jsonOption } from '../arguments.ts';
import type { AnalyzeSettings as AnalyzeRequest } from '../../train/analyze.ts';
import type { RunInSession } from '../run-cli.ts';
import type { CommandContext, CommandResult } from '../session.ts';

export type { AnalyzeRequest };

export function addAnalyze(
  program: Command, inSession: RunInSession,
  analyze: (request: AnalyzeRequest, context: CommandContext) => Promise<CommandResult>,
): void {
  program.command('analyze')
    .description('measure how far training changed magnitude and direction of each layer')
    .argument('<run>', 'folder of a run')
    .option('--out <folder>', 'folder for picture and data (default: that of the run)')
    .addOption(jsonOption())
    .action(async (run: string, { json, ...options }: Omit<AnalyzeRequest, 'run'> & { json: boolean }) => {
      await inSession(json, async (session) => session.result('analyze', await analyze({ run, ...options }, session)));
    });
}
