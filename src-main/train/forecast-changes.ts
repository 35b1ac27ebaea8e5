// Settings that make a job smaller, and how small.
import type { Job } from '../contract/job.ts';
import type { Bucket } from '../dataset/types.ts';
import { jobGraphs, type JobGraphs } from './forecast-graphs.ts';
import { forecastMemory, largestOf, type MemoryForecast, type MemorySettings } from './forecast-memory.ts';

/** Settings, and what the job would need with them. */
export interface Change {
  /** For people. */
  readonly settings: readonly string[];
  /** The same, by path. */
  readonly values: Values;
  readonly host: number;
  readonly device: number | null;
  readonly fits: boolean;
}

type Values = Readonly<Record<string, number | boolean | string>>;

interface Step {
  readonly values: Values;
  readonly changed: MemorySettings;
}

/** Number of single changes that are offered. */
const MOST = 3;
/** Scales of the resolution that are offered. */
const SMALLER = [0.75, 0.5];

/**
 * Tries settings one by one, in the order in which they hurt: first what costs time, then what costs quality. Those that
 * fit alone are given; if none does, those that help together, until it fits or nothing is left.
 */
export function changesThatFit(settings: MemorySettings, fits: (memory: MemoryForecast) => boolean, graphs: JobGraphs = jobGraphs(settings)): Change[] {
  const changeOf = (steps: readonly Values[], changed: MemorySettings): Change => {
    const own = jobGraphs(changed);
    // Encoders are the same, but for the size of the pictures.
    const isSameSize = changed.dataset.buckets.every((bucket) => settings.dataset.buckets.some(({ width, height }) => bucket.width === width && bucket.height === height));
    const memory = forecastMemory(changed, { ...own, text: graphs.text, ...(isSameSize ? { encode: graphs.encode } : {}) });
    return { settings: steps.map(textOf), values: Object.assign({}, ...steps) as Values, host: memory.host, device: memory.device, fits: fits(memory) };
  };
  const alone: Change[] = [];
  for (const { values, changed } of candidates(settings)) {
    const change = changeOf([values], changed);
    if (change.fits && alone.push(change) === MOST) return alone;
  }
  if (alone.length > 0) return alone;
  const needOf = ({ host, device }: Pick<Change, 'host' | 'device'>): number => device ?? host;
  let best: Change = { settings: [], values: {}, ...forecastMemory(settings, graphs), fits: false };
  let base = settings;
  const taken: Values[] = [];
  // Of several values of a setting the strongest; what does not help is left out.
  for (const key of new Set(candidates(settings).map(({ values }) => keyOf(values)))) {
    const step = candidates(base).findLast(({ values }) => keyOf(values) === key);
    if (!step) continue;
    const change = changeOf([...taken, step.values], step.changed);
    if (needOf(change) > 0.995 * needOf(best)) continue;
    taken.push(step.values);
    best = change;
    base = step.changed;
    if (best.fits) break;
  }
  return best.settings.length > 0 ? [best] : [];
}

/** The setting that helps; others only go with it. */
const keyOf = (values: Values): string => Object.keys(values)[0]!;

function textOf(values: Values): string {
  const [main, ...others] = Object.entries(values).map(([path, value]) => `${path} = ${JSON.stringify(value)}`);
  return others.length === 0 ? main! : `${main!} (with ${others.join(', ')})`;
}

function candidates(settings: MemorySettings): Step[] {
  const { job, dataset, model } = settings;
  const with_ = (values: Values, changes: Partial<Job>, changed: Partial<MemorySettings['dataset']> = {}): Step => ({
    values, changed: { ...settings, job: { ...job, ...changes }, dataset: { ...dataset, ...changed } },
  });
  const inOne = <T extends { readonly bucket: number }>(items: readonly T[]): T[] => items.map((item) => ({ ...item, bucket: 0 }));
  const { train, adapter, preview } = job;
  const rank = Number((adapter as Readonly<Record<string, unknown>>)['rank'] ?? 0);
  const used = dataset.buckets.filter(({ pictures }) => pictures > 0);
  const isLowRank = job.task === 'adapter' && rank > 0;
  return [
    ...(train.checkpointing ? [with_({ 'train.checkpointing': false }, { train: { ...train, checkpointing: false } })] : [with_({ 'train.checkpointing': true }, { train: { ...train, checkpointing: true } })]),
    ...(train.batch > 1 ? [with_({ 'train.batch': 1, 'train.accumulate': train.batch * train.accumulate }, { train: { ...train, batch: 1, accumulate: train.batch * train.accumulate } })] : []),
    ...(preview.every > 0 ? [with_({ 'preview.every': 0 }, { preview: { ...preview, every: 0 } })] : []),
    ...(used.length > 1 ? [with_({ 'data.buckets.enabled': false }, { data: { ...job.data, buckets: { ...job.data.buckets, enabled: false } } }, { buckets: [largestOf(used)] as Bucket[], items: inOne(dataset.items), heldOut: inOne(dataset.heldOut) })] : []),
    ...SMALLER.map((scale) => {
      const smaller = (side: number): number => Math.max(1, Math.round((side * scale) / model.pixelStep)) * model.pixelStep;
      const sizes = dataset.buckets.map((bucket) => ({ ...bucket, width: smaller(bucket.width), height: smaller(bucket.height) }));
      const side = Math.round(Math.sqrt(Math.max(...sizes.map(({ width, height }) => width * height))) / model.pixelStep) * model.pixelStep;
      return with_({ 'data.resolution': side }, {}, { buckets: sizes });
    }),
    ...(isLowRank && rank > 4 ? [with_({ 'adapter.rank': rank >> 1 }, { adapter: { ...adapter, rank: rank >> 1 } })] : []),
    ...(isLowRank && adapter.targets !== 'attention' ? [with_({ 'adapter.targets': 'attention' }, { adapter: { ...adapter, targets: 'attention' } })] : []),
  ];
}
