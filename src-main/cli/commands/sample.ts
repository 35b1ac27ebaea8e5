// adora sample: pictures from a base model, with or without adapters, or from a run.

import { Option, type Command } from 'commander';

import { samplers } from '../../catalog/samplers/index.ts';
import { defaultSampler } from '../../contract/job.ts';
import { axisOption, collect, deviceOption, dtypeOption, jsonOption, numberBetween, toldBaseOptions, wholeNumber } from '../arguments.ts';
import type { SampleSettings as SampleRequest } from '../../train/sample-command.ts';
import type { RunInSession } from '../run-cli.ts';
import type { CommandContext, CommandResult } from '../session.ts';

export type { SampleRequest };

export function addSample(
  program: Command, inSession: RunInSession,
  sample: (request: SampleRequest, context: CommandContext) => Promise<CommandResult>,
): void {
  const command = program.command('sample')
    .description('make pictures with a run, or with a base model and adapters')
    .option('--run <run>', 'folder of a run: its base model and its last adapter')
    .option('--step <n>', 'checkpoint of the run (default: the last)', wholeNumber(0))
    .option('--base <model>', 'checkpoint (.safetensors) or model folder');
  toldBaseOptions(command)
    .option('--adapter <file>', 'adapter file; may be repeated', collect, [])
    .addOption(axisOption())
    .option('--strength <factor>', 'share of the way from the base weights to the changed ones, W + s·(W\' − W), for LoRA and DoRA alike: 0 is the base, 1 the adapter as trained', numberBetween(-4, 4), 1)
    .option('--prompt <text>', 'what to show; may be repeated', collect, [])
    .option('--negative <text>', 'what not to show', '')
    .addOption(new Option('--sampler <name>', 'how noise becomes a picture').choices(Object.keys(samplers)).default(defaultSampler))
    .option('--steps <n>', 'steps of the sampler', wholeNumber(1, 1000), 20)
    .option('--guidance <factor>', 'classifier-free guidance; 1 is none', numberBetween(0, 100), 7)
    .option('--seed <n>', 'seed of the first picture', wholeNumber(0), 0)
    .option('--count <n>', 'pictures of each prompt', wholeNumber(1, 10000), 1)
    .option('--width <pixels>', 'width, if not that of the model', wholeNumber(8, 16384))
    .option('--height <pixels>', 'height, if not that of the model', wholeNumber(8, 16384))
    .option('--out <folder>', 'folder of the pictures', 'samples')
    .addOption(deviceOption())
    .addOption(dtypeOption())
    .addOption(jsonOption());
  command.action(async ({ json, ...request }: SampleRequest & { json: boolean }) => {
    if ((request.run === undefined) === (request.base === undefined)) command.error('error: give either --run or --base');
    if (request.run === undefined && request.step !== undefined) command.error('error: --step belongs to --run');
    if (request.run !== undefined && request.adapter.length > 0) command.error('error: --adapter goes with --base; a run has its own');
    const own = ['prediction', 'zeroTerminalSnr', 'clipSkip', 'vae', 'textEncoder'].find((name) => command.getOptionValueSource(name) === 'cli');
    if (request.run !== undefined && own !== undefined) command.error(`error: --${own.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} goes with --base; a run has its own`);
    if (request.prompt.length === 0) command.error('error: give at least one --prompt');
    await inSession(json, async (session) => session.result('sample', await sample(request, session)));
  });
}
