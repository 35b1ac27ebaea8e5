// adora probe: prediction, loss and gradients of exactly one step, for given inputs.

import type { Command } from 'commander';

import { deviceOption, dtypeOption, jsonOption } from '../arguments.ts';
import type { ProbeRequest } from '../../train/probe.ts';
import type { RunInSession } from '../run-cli.ts';
import type { CommandContext, CommandResult } from '../session.ts';

export type { ProbeRequest };

export function addProbe(
  program: Command, inSession: RunInSession,
  probe: (request: ProbeRequest, context: CommandContext) => Promise<CommandResult>,
): void {
  program.command('probe')
    .description('write what exactly one step computes: prediction, loss, gradients of the adapter')
    .requiredOption('--base <model>', 'checkpoint, or model folder in the diffusers layout; only the denoiser is needed')
    .option('--adapter <file>', 'adapter file in PEFT layout')
    .requiredOption('--input <file>', 'tensors sample, timestep, encoder_hidden_states and so on (.safetensors)')
    .requiredOption('--output <file>', 'file to write (.safetensors)')
    .addOption(deviceOption())
    .addOption(dtypeOption())
    .addOption(jsonOption())
    .action(async ({ json, ...request }: ProbeRequest & { json: boolean }) => {
      await inSession(json, async (session) => session.result('probe', await probe(request, session)));
    });
}
