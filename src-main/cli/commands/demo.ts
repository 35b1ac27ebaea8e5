// adora demo: trains a DoRA on the shipped pictures and shows that it worked.

import type { Command } from 'commander';

import { deviceOption, jsonOption } from '../arguments.ts';
import type { DemoSettings as DemoRequest } from '../../train/demo.ts';
import type { RunInSession } from '../run-cli.ts';
import type { CommandContext, CommandResult } from '../session.ts';

export type { DemoRequest };

export function addDemo(
  program: Command, inSession: RunInSession,
  demo: (request: DemoRequest, context: CommandContext) => Promise<CommandResult>,
): void {
  program.command('demo')
    .description('train a DoRA on the shipped pictures and write a report')
    .option('--out <folder>', 'folder of the report', 'out/demo')
    .addOption(deviceOption())
    .addOption(jsonOption())
    .action(async ({ json, ...request }: DemoRequest & { json: boolean }) => {
      await inSession(json, async (session) => session.result('demo', await demo(request, session)));
    });
}
