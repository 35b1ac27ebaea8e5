// How long a job takes: the work of its graphs, at the speed of a step that was timed.
import type { PreparedDataset } from '../dataset/index.ts';
import type { Size } from '../dataset/types.ts';
import { sizeOf } from '../base/shape.ts';
import type { HostData, Runtime, WeightSource } from '../runtime/runtime.ts';
import type { JobGraphs, GraphSettings } from './forecast-graphs.ts';
import { runToHost } from './run-to-host.ts';
import { measuringGroups } from './sources.ts';
import { previewCount } from './preview.ts';

/** Work of the pieces of a run, in operations. */
export interface JobWork {
  readonly step: number;
  readonly probe: number;
  readonly preview: number;
}

/** Seconds. */
export interface TimeForecast {
  readonly step: number;
  readonly probe: number;
  readonly preview: number;
  readonly total: number;
}

/** How often each measuring example is measured; the autoencoder's once. */
const MEASURED_TIMESTEPS = 4;

export function jobWork({ job }: GraphSettings, { buckets, items, heldOut }: Pick<PreparedDataset, 'buckets' | 'items' | 'heldOut'>, graphs: JobGraphs): JobWork {
  const used = buckets.filter(({ pictures }) => pictures > 0);
  const [first] = used;
  const area = ({ width, height }: Size): number => width * height;
  const draws = used.reduce((sum, bucket) => sum + bucket.draws, 0);
  const mean = used.reduce((sum, bucket) => sum + (bucket.draws / draws) * area(bucket), 0);
  // Attention apart, work grows with the area; buckets of a job have about the same.
  const step = (job.train.accumulate * graphs.train(first!).work * mean) / area(first!);
  const measured = measuringGroups({ buckets, items, heldOut });
  const repeats = job.task === 'autoencoder' ? 1 : MEASURED_TIMESTEPS;
  const probe = measured.reduce((sum, { size, rows, count }) => sum + repeats * count * graphs.measure(size, rows).work, 0);
  const pictures = job.task === 'autoencoder' || job.preview.every === 0 ? 0 : previewCount(job);
  const preview = pictures === 0 ? 0 : pictures * (job.preview.steps * graphs.paint(1).work + graphs.decode(1).work);
  return { step, probe, preview };
}

/** @param secondsPerStep of a whole optimizer step */
export function timeOf({ train, preview }: GraphSettings['job'], work: JobWork, secondsPerStep: number, from = 0): TimeForecast {
  const speed = work.step / secondsPerStep;
  const left = train.steps - from;
  const probes = 1 + (train.probeEvery > 0 ? Math.ceil(left / train.probeEvery) : 1);
  const previews = work.preview === 0 ? 0 : 1 + Math.ceil(left / preview.every);
  const [probe, painted] = [work.probe / speed, work.preview / speed];
  return { step: secondsPerStep, probe, preview: painted, total: left * secondsPerStep + probes * probe + previews * painted };
}

/** A step that takes this long is timed as it runs first: what a compiled program does besides then is small. */
const LONG_SECONDS = 10;

/**
 * Seconds of one step on made-up values, compiled and run once before it is timed. The shape is the smallest of the job;
 * the result is that of the mean shape.
 */
export async function calibrate(runtime: Runtime, weights: WeightSource, { buckets }: Pick<PreparedDataset, 'buckets'>, graphs: JobGraphs, work: JobWork): Promise<number> {
  const used = buckets.filter(({ pictures }) => pictures > 0);
  const smallest = used.reduce((least, size) => (size.width * size.height < least.width * least.height ? size : least));
  const graph = graphs.trainGraph(smallest);
  const program = await runtime.compile(graph, { weights, name: 'calibrate', savesMemory: graphs.savesMemory });
  try {
    const feeds = graph.nodes.flatMap(({ leaf, shape, dtype }) => (leaf && (leaf.kind === 'input' || leaf.kind === 'trainable')
      ? [[leaf.name, { dtype, shape, data: madeUp(dtype === 'i64', sizeOf(shape)) }] as const] : []));
    const timed = async (): Promise<number> => {
      const start = performance.now();
      await runToHost(runtime, program, feeds);
      return (performance.now() - start) / 1000;
    };
    const first = await timed();
    return ((first > LONG_SECONDS ? first : await timed()) * work.step) / graphs.train(smallest).work;
  } finally {
    await program.dispose();
  }
}

const madeUp = (isIndex: boolean, size: number): HostData => (isIndex ? new BigInt64Array(size) : new Float32Array(size).fill(0.01));
