// What a run will need, said before it begins: memory, disk, time; and what to change when that is more than there is.
import { existsSync, statfsSync, statSync } from 'node:fs';
import { totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { UserError } from '../base/errors.ts';
import type { TrainEventOf } from '../contract/events.ts';
import type { Job } from '../contract/job.ts';
import { TensorCache } from '../dataset/cache.ts';
import type { PreparedDataset } from '../dataset/index.ts';
import { prepareDataset } from '../dataset/index.ts';
import { latentKey } from '../dataset/latents.ts';
import { appFolders } from '../files/paths.ts';
import { graphicsMemory } from '../runtime/onnx/graphics-memory.ts';
import { changesThatFit, type Change } from './forecast-changes.ts';
import { jobGraphs, type JobGraphs } from './forecast-graphs.ts';
import { cachedBytes, forecastMemory, stateElements, type MemoryForecast, type MemoryPart, type MemorySettings } from './forecast-memory.ts';
import { calibrate, jobWork, timeOf, type JobWork, type TimeForecast } from './forecast-time.ts';
import { chooseRuntime, type ChosenRuntime } from './choose-runtime.ts';
import { ShapedPrograms, TextEncoders } from './encoders.ts';
import { openBase, type OpenModel } from './open-model.ts';
import { keepPace, paceOf, type PaceOf } from './pace.ts';
import type { Model } from '../catalog/define/family.ts';
import { previewCount } from './preview.ts';
import { checkStart } from './start-adapter.ts';
import { countElements } from './trained.ts';

export type ForecastBody = Omit<TrainEventOf<'forecast'>, 'seq' | 'time'>;

/** A forecast may be this much too high before it keeps anyone from trying. */
const DOUBT = 0.85;

export interface ForecastRequest {
  readonly job: Job;
  readonly model: Model;
  readonly baseModel: OpenModel;
  readonly chosen: ChosenRuntime;
  readonly dataset: PreparedDataset;
  /** Where the run and its checkpoints will lie; it need not exist. */
  readonly runFolder: string;
  readonly cacheFolder: string;
  readonly autoencoderId: string;
}

export interface Forecast {
  readonly body: ForecastBody;
  readonly settings: MemorySettings;
  readonly graphs: JobGraphs;
  readonly work: JobWork;
}

interface Limits {
  readonly host: { readonly free: number | null; readonly total: number | null };
  readonly device: { readonly free: number | null; readonly total: number | null } | null;
}

export async function forecast(request: ForecastRequest): Promise<Forecast> {
  const { job, model, baseModel, chosen, dataset } = request;
  const settings: MemorySettings = {
    job, model, baseModel, dataset, compute: chosen.compute, scalesLoss: chosen.scalesLoss, device: chosen.runtime.device,
    chunks: longestCaption(request),
  };
  const graphs = jobGraphs(settings);
  const memory = forecastMemory(settings, graphs);
  const limits = await limitsOf(chosen.runtime.device);
  const disk = diskOf(request, settings, graphs);
  const isTooLarge = exceeds(memory, limits, 'total', DOUBT);
  const isTight = exceeds(memory, limits, 'free', 1);
  const changes = isTooLarge || isTight ? changesThatFit(settings, (changed) => !exceeds(changed, limits, isTooLarge ? 'total' : 'free', 1), graphs) : [];
  const verdict = isTooLarge || disk.bytes > disk.free ? 'too-large' : isTight ? 'tight' : 'fits';
  const facts = { verdict, memory, limits, disk, changes } as const;
  return { body: bodyOf(facts, null), settings, graphs, work: jobWork(settings, dataset, graphs) };
}

/** The same forecast with times. */
export function withTime({ body, settings, work }: Forecast, secondsPerStep: number, from = 0): ForecastBody {
  const seconds = timeOf(settings.job, work, secondsPerStep, from);
  return { ...body, seconds, text: `${body.text} ${timeText(seconds)}` };
}

/**
 * The forecast with times by a step that is timed now, or by the pace of an earlier one. Without times where the run cannot
 * be, and where there are no weights to compute with.
 * @param isFresh whether a step is timed even when a pace is known
 */
export async function timedForecast(made: Forecast, { job, baseModel, chosen, dataset, cacheFolder }: ForecastRequest, isFresh: boolean): Promise<ForecastBody> {
  if (made.body.verdict === 'too-large' || job.init !== 'file') return made.body;
  const of = paceFor(made.settings);
  const known = isFresh ? null : paceOf(cacheFolder, of);
  if (known !== null) return withTime(made, made.work.step / known);
  const seconds = await calibrate(chosen.runtime, baseModel.weights, dataset, made.graphs, made.work);
  keepPace(cacheFolder, of, made.work.step / seconds);
  return withTime(made, seconds);
}

/** What the pace of a job is kept under. */
export const paceFor = ({ job, model, device, compute }: MemorySettings): PaceOf => ({ device, compute, model: model.label, checkpointing: job.train.checkpointing });

/** Error: `forecast.too-large`, with what to change. */
export function refuseTooLarge({ body, settings }: Forecast): void {
  if (body.verdict !== 'too-large' || !settings.job.train.checkResources) return;
  throw new UserError('forecast.too-large', `${body.text} Set train.checkResources = false to try all the same.`, { ...body.memory, disk: body.disk.bytes, changes: body.changes });
}

export interface ForecastCommand {
  readonly job: Job;
  readonly runFolder: string;
  readonly cacheFolder?: string;
  /** Whether a step is compiled and timed. */
  readonly times: boolean;
}

/** The forecast of a job that is not run. Errors: those of opening the model, of the data set and of adapter.from. */
export async function forecastJob({ job, runFolder, cacheFolder = encodedFolder(), times }: ForecastCommand): Promise<ForecastBody> {
  const { model, baseModel } = openBase(job);
  const chosen = await chooseRuntime(job);
  const side = model.nativeSide;
  const dataset = await prepareDataset(job.data, { modelSize: { width: side, height: side }, pixelStep: model.pixelStep, seed: job.train.seed });
  const request = { job, model, baseModel, chosen, dataset, runFolder, cacheFolder, autoencoderId: autoencoderIdOf(baseModel, chosen.runtime.device) };
  const made = await forecast(request);
  if (job.task === 'adapter' && job.adapter.from !== undefined) checkStart({ job, plan: made.graphs.plan, model, baseModel }, job.adapter.from);
  return times ? timedForecast(made, request, true) : made.body;
}

export const encodedFolder = (): string => join(appFolders().cache, 'encoded');
export const autoencoderIdOf = (baseModel: OpenModel, device: string): string => `${baseModel.identity('vae')} ${device}`;

function longestCaption({ job, model, baseModel, chosen, dataset }: ForecastRequest): number {
  if (job.task === 'autoencoder') return 1;
  const text = new TextEncoders(model, baseModel, new ShapedPrograms(chosen.runtime, baseModel), job.data.caption.maxTokens);
  const { component } = model.textEncoders[0]!;
  const captions = new Set(dataset.items.map(({ caption }) => `${job.data.caption.prefix} ${caption ?? ''}`));
  return Math.max(1, ...[...captions].map((caption) => text.tokens(caption).get(component)!.length));
}

async function limitsOf(device: string): Promise<Limits> {
  // A container may have less than the machine.
  const constrained = process.constrainedMemory();
  const total = constrained > 0 && constrained < totalmem() ? constrained : totalmem();
  const host = { free: process.availableMemory() + process.memoryUsage.rss(), total };
  if (device === 'cpu') return { host, device: null };
  const cards = await graphicsMemory();
  const card = cards.reduce<(typeof cards)[number] | null>((most, one) => (most && most.total >= one.total ? most : one), null);
  return { host, device: { free: card?.free ?? null, total: card?.total ?? null } };
}

function exceeds({ host, device }: Pick<MemoryForecast, 'host' | 'device'>, limits: Limits, which: 'free' | 'total', share: number): boolean {
  const isMore = (need: number, limit: number | null | undefined): boolean => limit !== null && limit !== undefined && share * need > limit;
  return isMore(host, limits.host[which]) || (device !== null && isMore(device, limits.device?.[which]));
}

interface DiskForecast {
  readonly bytes: number;
  readonly free: number;
  readonly parts: readonly MemoryPart[];
}

/** Of what is written, the part that lies on the disk of the run; the cache counts when it lies there too. */
function diskOf({ job, dataset, runFolder, cacheFolder, autoencoderId }: ForecastRequest, settings: MemorySettings, graphs: JobGraphs): DiskForecast {
  const place = existing(runFolder);
  const isTogether = statSync(place).dev === statSync(existing(cacheFolder)).dev;
  const values = countElements(graphs.plan.tensors);
  const saves = job.train.saveEvery > 0 ? Math.ceil(job.train.steps / job.train.saveEvery) : 1;
  // The newest is complete before the oldest goes.
  const checkpoint = 4 * (values + stateElements(settings, graphs)) * (Math.min(saves, job.train.keep) + 1);
  const width = job.output.dtype === 'f32' ? 4 : 2;
  const exported = graphs.plan.layers.length > 0 ? values * width * (job.output.for === 'all' ? 2 : 1) : (values + graphs.plan.frozen) * width;
  const side = settings.model.nativeSide;
  const { every, width: w = side, height: h = side } = job.preview;
  const samples = every === 0 || job.task === 'autoencoder' ? 0 : (1 + Math.ceil(job.train.steps / every)) * previewCount(job) * w * h * 2;
  const parts = [
    { label: 'checkpoints', bytes: checkpoint },
    { label: 'exports', bytes: exported },
    { label: 'start of the training', bytes: job.task === 'adapter' && job.adapter.from !== undefined ? 4 * values : 0 },
    { label: 'previews', bytes: samples },
    { label: 'cache', bytes: isTogether && job.task !== 'autoencoder' ? missingCache(settings, dataset, cacheFolder, autoencoderId) : 0 },
  ].filter(({ bytes }) => bytes > 0);
  const { bavail, bsize } = statfsSync(place);
  return { bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0), free: bavail * bsize, parts };
}

/** The share of the cache whose latents are not there yet. */
function missingCache(settings: MemorySettings, { items, background, buckets }: PreparedDataset, folder: string, encoderId: string): number {
  const cache = new TensorCache(folder);
  const isThere = (item: (typeof items)[number], variant: number): boolean => existsSync(cache.pathOf(latentKey(item, variant, background, encoderId)));
  const all = items.flatMap((item) => item.variants.map((_, variant) => isThere(item, variant)));
  return (cachedBytes(settings, buckets) * all.filter((found) => !found).length) / Math.max(1, all.length);
}

function existing(path: string): string {
  let at = resolve(path);
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  return at;
}

function bodyOf({ verdict, memory, limits, disk, changes }: { readonly verdict: ForecastBody['verdict']; readonly memory: MemoryForecast; readonly limits: Limits; readonly disk: DiskForecast; readonly changes: readonly Change[] }, seconds: TimeForecast | null): ForecastBody {
  const host = { bytes: memory.host, ...limits.host };
  const device = memory.device === null ? null : { bytes: memory.device, free: limits.device?.free ?? null, total: limits.device?.total ?? null };
  const text = textOf({ verdict, host, device, disk, changes });
  return { kind: 'forecast', verdict, text, memory: { host, device, parts: [...memory.parts] }, disk: { ...disk, parts: [...disk.parts] }, seconds, changes: changes.map((change) => ({ ...change, settings: [...change.settings], values: { ...change.values } })) };
}

type Amount = ForecastBody['memory']['host'];

const size = (bytes: number): string => (bytes < 1e8 ? `${(bytes / 1e6).toFixed(0)} MB` : `${(bytes / 1e9).toFixed(bytes < 1e10 ? 1 : 0)} GB`);
const amount = ({ bytes, free, total }: Amount, of: string): string => {
  const there = free ?? total;
  return `about ${size(bytes)} of ${of}${there === null ? '' : ` (${size(there)} ${free === null ? 'there' : 'free'})`}`;
};

function textOf({ verdict, host, device, disk, changes }: { readonly verdict: ForecastBody['verdict']; readonly host: Amount; readonly device: Amount | null; readonly disk: DiskForecast; readonly changes: readonly Change[] }): string {
  const needs = [...(device ? [amount(device, 'the device’s memory')] : []), amount(host, 'memory'), `up to ${size(disk.bytes)} on disk (${size(disk.free)} free)`];
  const text = `The run needs ${needs.slice(0, -1).join(', ')} and ${needs.at(-1)}.`;
  if (verdict === 'fits') return text;
  const what = disk.bytes > disk.free ? 'The disk has no room for it: free some, or lower train.keep.' : verdict === 'tight' ? 'That is more than is free now: close other programs, or expect it to become slow or to stop.' : 'That is more than there is.';
  const good = changes.filter(({ fits }) => fits);
  const advice = good.length > 0 ? ` It would fit with ${good.map(({ settings, host: h, device: d }) => `${settings.join(' and ')} (${size(d ?? h)})`).join(', or with ')}.`
    : changes.length > 0 ? ` Even with ${changes.at(-1)!.settings.join(', ')} it would need ${size(changes.at(-1)!.device ?? changes.at(-1)!.host)}.` : '';
  return `${text} ${what}${advice}`;
}

function timeText({ step, total, probe, preview }: TimeForecast): string {
  const clock = (seconds: number): string => (seconds < 90 ? `${seconds.toPrecision(2)} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`);
  return `It takes about ${clock(total)}: ${clock(step)} a step, ${clock(probe)} a measurement${preview > 0 ? `, ${clock(preview)} a preview` : ''}.`;
}
