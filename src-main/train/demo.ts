// `adora demo`: trains the shipped style on the starter model, measures and shows what came of it, in one folder.
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, relative } from 'node:path';
import { dependencies, version } from '../../package.json';
import { lossChart } from '../analysis/charts/loss-chart.ts';
import { pictureGrid } from '../analysis/charts/picture-grid.ts';
import { UserError } from '../base/errors.ts';
import type { TrainEvent, TrainEventBody, TrainEventOf } from '../contract/events.ts';
import type { Device } from '../contract/devices.ts';
import type { Job } from '../contract/job.ts';
import { writeFileAtomic } from '../files/atomic-write.ts';
import { renderSvg } from '../files/render-svg.ts';
import { analysisPicture, analyzeRun, writeAnalysis, type Analysis } from './analyze.ts';
import { assetsFolder } from './assets.ts';
import { chooseRuntime, type ChosenRuntime } from './choose-runtime.ts';
import { demoReport } from './demo-report.ts';
import { loadDemoPictures, paintComparison, type DemoPictures } from './demo-pictures.ts';
import type { DemoFile, DemoSummary } from './demo-summary.ts';
import { exportDemo, type DemoExport } from './demo-export.ts';
import { makeResultFolder } from './result-folder.ts';
import { runJob } from './run-job.ts';
import { timeRuntime } from './timed-runtime.ts';

export interface DemoSettings {
  readonly out: string;
  readonly device: string;
  /** Other job than the shipped one. */
  readonly job?: Job;
}

interface Context {
  readonly onEvent: (event: TrainEventBody) => void;
  readonly shouldStop: () => boolean;
}

/** Reads a job file; handed in because job files are the app's. */
export type ReadJob = (path: string) => Promise<Job>;

const SUMMARY = 'summary.json';

/** Errors: `demo.stopped`, `result.not-ours`, those of training. An earlier result stays until the new one is complete. */
export async function demoCommand({ out, device, job }: DemoSettings, context: Context, readJob: ReadJob): Promise<{ text: string; data: unknown; ok: boolean }> {
  const shipped = job ?? await readJob(join(assetsFolder(), 'recipes', 'demo.toml'));
  const wanted: Job = { ...shipped, train: { ...shipped.train, device: device as Device } };
  if (!existsSync(wanted.base.model)) {
    throw new UserError('demo.no-model', `The starter model is missing at "${wanted.base.model}": install Adora again, or make it with the recipe in assets/recipes/starter.`, { path: wanted.base.model });
  }
  const summary = await makeResultFolder(out, SUMMARY, (folder) => makeDemo(folder, wanted, context));
  return { text: demoText(summary, out), data: { ...summary, folder: out }, ok: summary.ok };
}

async function makeDemo(folder: string, job: Job, context: Context): Promise<DemoSummary> {
  const clock = startClock();
  const chosen = await chooseRuntime(job, 0, context.onEvent);
  const training = await trainTimed(job, join(folder, 'run'), chosen, context);
  clock.lap('train');

  const phase = (name: string, done = 0, total = 0, unit = 'pictures'): void => context.onEvent({ kind: 'phase', name, done, total, unit });
  const stopIfAsked = (): void => {
    if (context.shouldStop()) throw new UserError('demo.stopped', 'The demo was stopped; nothing of it is left.');
  };
  phase('write adapter and merged model', 0, 0, 'files');
  const exported = await exportDemo(join(folder, 'run'), folder, chosen);
  clock.lap('export');

  stopIfAsked();
  const analysis = await analyzeRun(join(folder, 'run'), context);
  const [data] = await writeAnalysis(analysis, folder);
  clock.lap('analyze');

  const pictures = await loadDemoPictures(job);
  const comparison = await paintComparison(job, chosen, exported, pictures, (done, total) => {
    stopIfAsked();
    phase('paint', done, total);
  });
  const label = analysis.adapter;
  const beforeAfter = await renderSvg(pictureGrid({
    title: `${label} style "${job.name}": before and after`,
    note: 'Same prompt and seed in each row. None of the prompts and none of the pictures on the right was trained on.',
    columns: [
      { title: 'base', note: 'the starter model' },
      { title: `with ${label}`, note: `after ${job.train.steps} steps` },
      { title: 'real picture', note: 'of that style' },
    ],
    rows: comparison.map(({ settings, base, adapted, real }) => ({ label: settings.prompt, note: `seed ${settings.seed}`, pictures: [base, adapted, real].map((png) => ({ png })) })),
    side: 176,
  }), 1.5);
  clock.lap('paint');

  const charts = { loss: await renderSvg(lossOf(job, training.events, pictures), 1.5), analysis: await analysisPicture(analysis) };
  await writeFileAtomic(join(folder, 'before-after.png'), beforeAfter);
  await writeFileAtomic(join(folder, 'loss.png'), charts.loss);
  rmSync(join(folder, 'run', 'exports'), { recursive: true, force: true });
  clock.lap('charts');

  const summary = summarize({ folder, job, chosen, training, exported, analysis, pictures, seconds: clock.laps(), files: [...exported.files, data!, join(folder, 'magnitude-direction.png'), join(folder, 'before-after.png'), join(folder, 'loss.png')], comparison });
  await writeFileAtomic(join(folder, 'report.html'), await demoReport(summary, {
    beforeAfter, loss: charts.loss, analysis: charts.analysis, training: pictures.training,
  }));
  await writeFileAtomic(join(folder, SUMMARY), `${JSON.stringify(summary, null, 2)}\n`);
  return summary;
}

interface Training {
  readonly events: readonly TrainEvent[];
  /** From the end of the first step to the end of the last: compiling is not part of it. */
  readonly loopSeconds: number;
  /** Of those, inside the device's library. */
  readonly deviceSeconds: number;
}

async function trainTimed(job: Job, runFolder: string, chosen: ChosenRuntime, { onEvent, shouldStop }: Context): Promise<Training> {
  const timed = timeRuntime(chosen.runtime);
  const events: TrainEvent[] = [];
  const marks: { at: number; device: number }[] = [];
  const cacheFolder = join(runFolder, '..', 'cache');
  const end = await runJob({
    job, runFolder, resume: false, cacheFolder,
    chosen: { ...chosen, runtime: timed.runtime },
    control: { shouldStop },
    onEvent: (event) => {
      if (event.kind === 'step') marks.push({ at: performance.now() / 1000, device: timed.seconds() });
      if (event.kind !== 'phase') events.push(event);
      // The demo tells itself where its files are, once they are there.
      if (event.kind !== 'checkpoint' && event.kind !== 'finished' && event.kind !== 'interrupted') onEvent(event);
    },
  });
  rmSync(cacheFolder, { recursive: true, force: true });
  if (end === 'interrupted') throw new UserError('demo.stopped', 'The demo was stopped; nothing of it is left.');
  const [first, last] = [marks[0]!, marks.at(-1)!];
  return { events, loopSeconds: last.at - first.at, deviceSeconds: last.device - first.device };
}

function lossOf(job: Job, events: readonly TrainEvent[], { heldOut }: DemoPictures): string {
  return lossChart({
    name: `style "${job.name}"`,
    steps: eventsOf(events, 'step'),
    measured: eventsOf(events, 'probe'),
    measuredOn: `${heldOut} held-out pictures`,
  });
}

const eventsOf = <Kind extends TrainEvent['kind']>(events: readonly TrainEvent[], kind: Kind): TrainEventOf<Kind>[] =>
  events.filter((event): event is TrainEventOf<Kind> => event.kind === kind);

interface Facts {
  readonly folder: string;
  readonly job: Job;
  readonly chosen: ChosenRuntime;
  readonly training: Training;
  readonly exported: DemoExport;
  readonly analysis: Analysis;
  readonly pictures: DemoPictures;
  readonly seconds: Readonly<Record<string, number>>;
  readonly files: readonly string[];
  readonly comparison: Awaited<ReturnType<typeof paintComparison>>;
}

function summarize({ folder, job, chosen, training, exported, analysis, pictures, seconds, files, comparison }: Facts): DemoSummary {
  const { events, loopSeconds, deviceSeconds } = training;
  const probes = eventsOf(events, 'probe');
  const [base, adapter] = [probes[0]?.loss ?? null, probes.at(-1)?.loss ?? null];
  const started = eventsOf(events, 'started')[0]!;
  // An export that could not be proved has ended the demo.
  const verdicts = [...eventsOf(events, 'verdict').map(({ name, ok, text }) => ({ name, ok, text })), { name: 'export', ok: true, text: exported.mergedProof }];
  const steps = eventsOf(events, 'step').length;
  return {
    ok: verdicts.every(({ ok }) => ok),
    name: job.name,
    adapter: analysis.adapter,
    heldOut: {
      pictures: pictures.heldOut, base, adapter,
      percent: base !== null && adapter !== null ? (100 * (adapter - base)) / base : null,
      course: probes.map(({ step, loss }) => ({ step, loss })),
    },
    verdicts,
    training: {
      pictures: pictures.training.length, steps, batch: job.train.batch, learningRate: Number((job.optimizer as Record<string, unknown>)['learningRate']),
      rank: Number((job.adapter as Record<string, unknown>)['rank'] ?? 0), targets: job.adapter.targets, optimizer: job.optimizer.kind,
      parameters: started.parameters.trained, ofParameters: started.parameters.frozen + started.parameters.trained,
      secondsPerStep: loopSeconds / Math.max(1, steps - 1),
      shareOutsideRuntime: 1 - deviceSeconds / loopSeconds,
    },
    axis: exported.axis, approximationError: exported.approximationError,
    analysis: { correlation: analysis.summary.relativeCorrelation, slope: analysis.summary.relativeLine?.slope ?? null, meanDirection: analysis.summary.meanDirection, meanRelativeMagnitude: analysis.summary.meanRelativeMagnitude, points: analysis.summary.points },
    seconds,
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    seeds: { training: job.train.seed, pictures: comparison.map(({ settings }) => settings.seed) },
    prompts: comparison.map(({ settings }) => settings.prompt),
    sampling: { sampler: job.preview.sampler, steps: job.preview.steps, guidance: job.preview.guidance },
    machine: { device: chosen.runtime.device, dtype: chosen.compute, system: `${process.platform} ${process.arch}`, processor: cpus()[0]?.model.trim() ?? 'unknown', threads: cpus().length },
    versions: { adora: version, node: process.versions.node, 'onnxruntime-node': dependencies['onnxruntime-node'], sharp: dependencies.sharp },
    files: files.map((file): DemoFile => ({ path: relative(folder, file).replaceAll('\\', '/'), bytes: sizeOf(file) })),
  };
}

function sizeOf(path: string): number {
  if (!statSync(path).isDirectory()) return statSync(path).size;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}

function startClock() {
  const started = performance.now();
  const laps: Record<string, number> = {};
  let last = started;
  const rounded = (milliseconds: number): number => Math.round(milliseconds / 10) / 100;
  return {
    lap: (name: string): void => {
      const now = performance.now();
      laps[name] = rounded(now - last);
      last = now;
    },
    laps: (): Record<string, number> => ({ ...laps, total: rounded(performance.now() - started) }),
  };
}

function demoText({ heldOut, training, seconds, peakMemoryBytes, verdicts, files, adapter }: DemoSummary, out: string): string {
  const loss = heldOut.percent === null
    ? 'The loss on held-out pictures could not be measured.'
    : `Loss on ${heldOut.pictures} pictures it never saw: ${heldOut.base!.toFixed(4)} with the base model, ${heldOut.adapter!.toFixed(4)} with the ${adapter} (${heldOut.percent.toFixed(1)} %).`;
  return [
    loss,
    ...verdicts.map(({ ok, text }) => `${ok ? 'ok' : 'NOT OK'}  ${text}`),
    `${training.steps} steps, ${training.secondsPerStep.toFixed(3)} s each; ${Math.round(seconds['total']!)} s and ${(peakMemoryBytes / 1e9).toFixed(2)} GB of memory in all.`,
    `Open ${join(out, 'report.html')} in a browser. Beside it: ${[...new Set(files.map(({ path }) => path.split('/')[0]))].join(', ')}.`,
  ].join('\n');
}
