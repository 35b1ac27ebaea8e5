// `adora bench`: seconds per training step, memory and build time of known cases. Every case runs in a process of its own,
// so that its peak memory is its own; cases take turns, so that a slow moment of the machine hits all of them.
import { execFile } from 'node:child_process';
import { cpus } from 'node:os';
import { promisify } from 'node:util';
import { UserError } from '../base/errors.ts';
import type { TrainEventBody } from '../contract/events.ts';
import { benchNames, measureCase, stopped, usualBenchNames, type CaseSettings, type Measured } from './bench-case.ts';

const run = promisify(execFile);
const MEBIBYTE = 2 ** 20;

export interface BenchRequest extends CaseSettings {
  readonly cases: readonly string[];
  /** How often all cases are measured, in turns. */
  readonly rounds: number;
  /** Command of another engine's benchmark. */
  readonly peer?: string;
}

interface BenchContext {
  readonly onEvent: (event: TrainEventBody) => void;
  readonly shouldStop: () => boolean;
}

interface BenchResult {
  readonly text: string;
  readonly data: unknown;
  readonly ok?: boolean;
}

export interface BenchOptions {
  /** How to start this program again: path of its entry. */
  readonly entry: string;
  readonly assets: string;
}

/** Errors: `bench.unknown`, `bench.stopped`. A single case is measured in this process. */
export async function benchCommand(request: BenchRequest, context: BenchContext, options: BenchOptions): Promise<BenchResult> {
  const names = request.cases.length > 0 ? request.cases : usualBenchNames;
  for (const name of names) {
    if (!benchNames.includes(name)) throw new UserError('bench.unknown', `There is no case "${name}": choose from ${benchNames.join(', ')}.`, { name });
  }
  const measured: Measured[] = [];
  if (names.length === 1 && request.rounds === 1 && !request.peer) measured.push(await measureCase(names[0]!, request, options.assets, context.shouldStop));
  else {
    for (let round = 0; round < request.rounds; round++) {
      for (const [index, name] of names.entries()) {
        context.onEvent({ kind: 'phase', name: 'measure', about: name, done: round * names.length + index, total: request.rounds * names.length, unit: 'cases' });
        if (context.shouldStop()) throw stopped();
        // The same signal reaches the other process, which then ends without a result.
        measured.push(await measureApart(name, request, options.entry).catch((error: unknown) => {
          throw context.shouldStop() ? stopped() : error;
        }));
      }
      if (request.peer) measured.push(...(await measurePeer(request.peer)));
    }
  }
  const rows = summarise(measured);
  return { text: table(rows), data: { device: request.device, processor: cpus()[0]?.model ?? 'unknown', cores: cpus().length, rows, measured } };
}

async function measureApart(name: string, { repeats, threads, device, dtype }: BenchRequest, entry: string): Promise<Measured> {
  const args = [...process.execArgv, entry, 'bench', name, '--json', '--repeats', String(repeats), '--threads', String(threads), '--device', device, '--dtype', dtype];
  const { stdout } = await run(process.execPath, args, { maxBuffer: 64 * MEBIBYTE });
  const result = stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line) as { kind: string; data?: { measured: Measured[] } }).find(({ kind }) => kind === 'result');
  return result!.data!.measured[0]!;
}

/** Runs another engine's own benchmark: a command that prints a JSON line per kind with `case`, `kind`, `median_s`, `min_s`, `peak_rss_mb`. */
async function measurePeer(command: string): Promise<Measured[]> {
  const [program, ...args] = command.split(/\s+/);
  const { stdout } = await run(program!, args, { maxBuffer: 64 * MEBIBYTE });
  return stdout.split('\n').filter((line) => line.startsWith('{')).map((line) => {
    const found = JSON.parse(line) as { engine: string; case: string; kind: string; checkpointing?: boolean; median_s: number; min_s: number; peak_rss_mb: number; setup_s: number };
    const name = `${found.case}-${found.kind}${found.checkpointing ? '-checkpointed' : ''}`;
    return { name, engine: found.engine, median: found.median_s, least: found.min_s, peakMemory: found.peak_rss_mb * MEBIBYTE, build: found.setup_s, outside: null };
  });
}

export interface BenchRow {
  readonly name: string;
  readonly engine: string;
  /** Median of the rounds' medians, in seconds per step. */
  readonly median: number;
  readonly least: number;
  readonly peakMemory: number;
  readonly build: number;
  /** Share of the time that is not spent in the device's library; null for other engines. */
  readonly outside: number | null;
  /** Median relative to the first engine's row of the same case. */
  readonly ratio: number;
}

/** One row per case and engine: medians over rounds, ratios against Adora's own row of the case. */
export function summarise(measured: readonly Measured[]): BenchRow[] {
  const keys = [...new Set(measured.map(({ name, engine }) => `${name}\n${engine}`))];
  const rows = keys.map((key) => {
    const own = measured.filter(({ name, engine }) => `${name}\n${engine}` === key);
    const of = (pick: (one: Measured) => number): number => middle(own.map(pick));
    const { name, engine, outside } = own[0]!;
    return {
      name, engine, median: of((one) => one.median), least: Math.min(...own.map(({ least }) => least)), peakMemory: of((one) => one.peakMemory),
      build: of((one) => one.build), outside: outside === null ? null : of((one) => one.outside!),
    };
  });
  return rows.map((row) => ({ ...row, ratio: row.median / (rows.find(({ name }) => name === row.name)?.median ?? row.median) }));
}

export function middle(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

function table(rows: readonly BenchRow[]): string {
  const head = ['case', 'engine', 's/step', 'least', 'memory MB', 'build s', 'outside', 'ratio'];
  const cells = rows.map((row) => [
    row.name, row.engine, row.median.toFixed(3), row.least.toFixed(3), (row.peakMemory / MEBIBYTE).toFixed(0), row.build.toFixed(1),
    row.outside === null ? '' : `${(100 * row.outside).toFixed(1)} %`, row.ratio.toFixed(2),
  ]);
  const widths = head.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]!.length)));
  return [head, ...cells].map((row) => row.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ')).join('\n');
}
