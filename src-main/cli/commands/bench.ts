// adora bench: speed and memory of the built-in cases.

import type { Command } from 'commander';

import { deviceOption, dtypeOption, jsonOption, wholeNumber } from '../arguments.ts';
import type { BenchRequest } from '../../train/bench.ts';
import type { RunInSession } from '../run-cli.ts';
import type { CommandContext, CommandResult } from '../session.ts';

export type { BenchRequest };

export function addBench(
  program: Command, inSession: RunInSession,
  bench: (request: BenchRequest, context: CommandContext) => Promise<CommandResult>,
): void {
  program.command('bench')
    .description('measure speed and memory')
    .argument('[case...]', 'cases to run (default: all that fit)')
    .option('--repeats <n>', 'measured steps of each case', wholeNumber(1, 1000), 5)
    .option('--rounds <n>', 'how often the cases take turns', wholeNumber(1, 100), 1)
    .option('--peer <command>', 'benchmark of another engine to run beside, for example "python tests/bench/peft_baseline.py lora dora"')
    .option('--threads <n>', 'threads of the processor; 0 is the default of the runtime', wholeNumber(0, 1024), 0)
    .addOption(deviceOption())
    .addOption(dtypeOption())
    .addOption(jsonOption())
    .action(async (cases: string[], { json, ...options }: Omit<BenchRequest, 'cases'> & { json: boolean }) => {
      await inSession(json, async (session) => session.result('bench', await bench({ cases, ...options }, session)));
    });
}
