// adora doctor: which devices there are and whether they compute what the processor computes.

import type { Command } from 'commander';

import { deviceOption, jsonOption } from '../arguments.ts';
import type { DoctorRequest } from '../../train/doctor.ts';
import type { RunInSession } from '../run-cli.ts';
import type { CommandContext, CommandResult } from '../session.ts';

export type { DoctorRequest };

export function addDoctor(
  program: Command, inSession: RunInSession,
  examine: (request: DoctorRequest, context: CommandContext) => Promise<CommandResult>,
): void {
  program.command('doctor')
    .description('list the devices and compare their results with those of the processor')
    .addOption(deviceOption())
    .addOption(jsonOption())
    .action(async ({ json, ...request }: DoctorRequest & { json: boolean }) => {
      await inSession(json, async (session) => session.result('doctor', await examine(request, session)));
    });
}
