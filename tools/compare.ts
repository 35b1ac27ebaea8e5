// Makes docs/comparison.md: LoRA, DoRA and full fine-tuning over learning rates and seeds. Can be stopped and goes on.
// npm run tool compare [-- --out FOLDER] [key=value ...]
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { readJobFile } from '../src-main/app/job-file.ts';
import { UserError } from '../src-main/base/errors.ts';
import { catalogFields } from '../src-main/catalog/index.ts';
import { writeFileAtomic } from '../src-main/files/atomic-write.ts';
import { analyzeRun } from '../src-main/train/analyze.ts';
import { courseOf } from '../src-main/contract/run-course.ts';
import { readEvents } from '../src-main/train/run-folder.ts';
import { runJob } from '../src-main/train/run-job.ts';
import { writeReport } from './compare/report.ts';
import type { Method, Outcome, Sweep, Trial } from './compare/sweep.ts';

const RECIPE = join('assets', 'recipes', 'compare-lora-dora-full');
const RUNS = join('build', 'compare');

const args = process.argv.slice(2);
const outAt = args.indexOf('--out');
const docs = outAt < 0 ? 'docs' : args[outAt + 1]!;
const overrides = args.filter((arg, i) => arg.includes('=') && i !== outAt + 1);
const runs = outAt < 0 ? RUNS : join(docs, 'runs');

let isStopped = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => (isStopped = true));

const sweep = parse(readFileSync(join(RECIPE, 'sweep.toml'), 'utf8')) as unknown as Sweep;
const trials = sweep.seeds.flatMap((seed) => sweep.methods.flatMap((method) => method.learningRates.map((rate): Trial => ({ method, rate, seed }))));
const outcomes: Outcome[] = [];
for (const [index, trial] of trials.entries()) {
  if (isStopped) break;
  const { method, rate, seed } = trial;
  const name = `${method.name}, learning rate ${rate}, seed ${seed}`;
  const outcome = await outcomeOf(trial);
  if (!outcome) break;
  outcomes.push(outcome);
  process.stdout.write(`${index + 1}/${trials.length}  ${name}: ${outcome.failure ?? `loss ${outcome.loss?.toFixed(5)}`}\n`);
  await writeReport(docs, sweep, outcomes, trials.length);
}
if (isStopped) {
  process.stdout.write(`Stopped after ${outcomes.length} of ${trials.length} runs; start again to go on.\n`);
  process.exitCode = 130;
}

/** The result of a run, from disk if it is there; null when interrupted. */
async function outcomeOf({ method, rate, seed }: Trial): Promise<Outcome | null> {
  const folder = join(runs, `${method.name.toLowerCase().replaceAll(/\W+/g, '-')}-${rate}-${seed}`);
  const file = join(folder, 'outcome.json');
  if (existsSync(file)) return { ...JSON.parse(readFileSync(file, 'utf8')) as Outcome, method: method.name };
  const failure = await trainOnce(folder, method, rate, seed);
  if (failure === 'interrupted') return null;
  const outcome = await measure(folder, method, rate, seed, failure);
  await writeFileAtomic(file, JSON.stringify(outcome));
  // What is measured is not needed any more, and large.
  for (const name of ['checkpoints', 'exports']) rmSync(join(folder, name), { recursive: true, force: true });
  return outcome;
}

async function trainOnce(runFolder: string, { set }: Method, rate: number, seed: number): Promise<string | null> {
  const settings = [...set, `optimizer.learningRate=${rate}`, `train.seed=${seed}`, ...overrides];
  const { job } = await readJobFile(join(RECIPE, 'job.toml'), catalogFields(), settings);
  if (readEvents(runFolder).some(({ kind }) => kind === 'finished')) return null;
  try {
    const end = await runJob({
      job, runFolder, resume: existsSync(join(runFolder, 'job.json')), cacheFolder: join(runs, 'cache'), onEvent: () => {}, control: { shouldStop: () => isStopped },
    });
    return end === 'interrupted' ? end : null;
  } catch (error) {
    // Too high a learning rate is a result, too.
    if (error instanceof UserError && (error.code === 'train.not-finite' || error.code === 'train.nothing-learnt')) return error.message;
    throw error;
  }
}

async function measure(folder: string, method: Method, rate: number, seed: number, failure: string | null): Promise<Outcome> {
  const events = courseOf(readEvents(folder));
  const probes = events.flatMap((event) => (event.kind === 'probe' ? [{ step: event.step, loss: event.loss }] : []));
  const seconds = events.findLast((event) => event.kind === 'step')?.secondsPerStep ?? null;
  const parameters = events.find((event) => event.kind === 'started')?.parameters.trained ?? null;
  const facts = { method: method.name, rate, seed, failure, base: probes[0]?.loss ?? null, loss: failure ? null : (probes.at(-1)?.loss ?? null), probes, seconds, parameters };
  if (failure) return { ...facts, points: [] };
  const { points } = await analyzeRun(folder, { onEvent: () => {}, shouldStop: () => false });
  return { ...facts, points };
}
