// adora convert, resize, extract, merge: adapter files from other files.

import { Option, type Command } from 'commander';

import { axisOption, jsonOption, layoutOption, share, wholeNumber } from '../arguments.ts';
import type { ConvertRequest } from '../../train/adapter-tools/convert.ts';
import type { ExtractRequest } from '../../train/adapter-tools/extract.ts';
import type { MergeRequest } from '../../train/adapter-tools/merge-adapters.ts';
import type { ResizeRequest } from '../../train/adapter-tools/resize.ts';
import { refuseSources } from '../../files/keep-sources.ts';
import type { RunInSession } from '../run-cli.ts';
import type { CommandContext, CommandResult } from '../session.ts';

type Work<Request> = (request: Request, context: CommandContext) => Promise<CommandResult>;

export interface AdapterTools {
  readonly convert: Work<ConvertRequest>;
  readonly resize: Work<ResizeRequest>;
  readonly extract: Work<ExtractRequest>;
  readonly merge: Work<MergeRequest>;
}

type Json = { readonly json: boolean };

export function addAdapterTools(program: Command, inSession: RunInSession, tools: AdapterTools): void {
  program.command('convert')
    .description('write an adapter in another layout, exactly or not at all')
    .argument('<file>', 'adapter file (.safetensors)')
    .addOption(layoutOption('--to'))
    .option('--base <model>', 'base model of the adapter; its hashes are written, and models that are not published need it')
    .addOption(axisOption())
    .requiredOption('--out <file>', 'file to write')
    .addOption(jsonOption())
    .action(async (file: string, { json, ...options }: Omit<ConvertRequest, 'file'> & Json) => {
      await inSession(json, async (session) => {
        refuseSources(options.out, [file]);
        return session.result('convert', await tools.convert({ file, ...options }, session));
      });
    });
  program.command('resize')
    .description('write a LoRA or DoRA with a smaller rank, and say what is lost; a DoRA keeps its magnitudes')
    .argument('<file>', 'adapter file (.safetensors)')
    .option('--rank <n>', 'largest rank', wholeNumber(1))
    .option('--energy <share>', 'share of the low-rank change that stays, such as 0.9', share)
    .option('--base <model>', 'base model; with it what a DoRA loses is measured in its weights')
    .addOption(axisOption())
    .requiredOption('--out <file>', 'file to write')
    .addOption(jsonOption())
    .action(async (file: string, { json, ...options }: Omit<ResizeRequest, 'file'> & Json) => {
      await inSession(json, async (session) => {
        refuseSources(options.out, [file]);
        return session.result('resize', await tools.resize({ file, ...options }, session));
      });
    });
  program.command('extract')
    .description('write the difference of two checkpoints as a LoRA')
    .requiredOption('--base <model>', 'the model that was the start')
    .requiredOption('--tuned <model>', 'the model that came of it')
    .requiredOption('--rank <n>', 'rank of the LoRA', wholeNumber(1))
    .addOption(layoutOption('--layout'))
    .addOption(new Option('--dtype <format>', 'number format').choices(['f16', 'bf16', 'f32']).default('f16'))
    .requiredOption('--out <file>', 'file to write')
    .addOption(jsonOption())
    .action(async ({ json, ...options }: ExtractRequest & Json) => {
      await inSession(json, async (session) => {
        refuseSources(options.out, [options.base, options.tuned]);
        return session.result('extract', await tools.extract(options, session));
      });
    });
  program.command('merge')
    .description('write one adapter that does what several do together')
    .argument('<files...>', 'adapter files, each with its strength: style.safetensors:0.7')
    .option('--rank <n>', 'rank of the result (default: the sum of the ranks, which is exact)', wholeNumber(1))
    .option('--base <model>', 'base model, which a DoRA needs, and files that spell the layers of an unpublished model differently')
    .addOption(axisOption())
    .requiredOption('--out <file>', 'file to write')
    .addOption(jsonOption())
    .action(async (files: readonly string[], { json, ...options }: Omit<MergeRequest, 'files'> & Json) => {
      await inSession(json, async (session) => {
        refuseSources(options.out, files.map((file) => file.replace(/:[^:/\\]*$/, '')));
        return session.result('merge', await tools.merge({ files, ...options }, session));
      });
    });
}
