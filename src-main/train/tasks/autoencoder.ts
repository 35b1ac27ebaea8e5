// Training of the image autoencoder: reconstruct pictures through a sampled latent that is pulled towards a unit normal.
// B batch, C latent channels, H W pixels, h w latent positions
import { rng } from '../../base/rng.ts';
import type { Model } from '../../catalog/define/family.ts';
import type { Job } from '../../contract/job.ts';
import type { Builder, BuilderOptions } from '../../graph/builder.ts';
import type { Value } from '../../graph/types.ts';
import { f32, type HostTensor } from '../../runtime/runtime.ts';
import type { TaskBatch, TrainingTask } from '../task.ts';
import type { TrainedTensor } from '../trained.ts';

/** Pictures of one size as planes in [−1, 1]. */
export interface PictureBatch {
  readonly pixels: Float32Array;
  readonly count: number;
  readonly width: number;
  readonly height: number;
}

export interface PictureSource {
  batchAt(index: number): Promise<PictureBatch>;
  measuringBatches(): Promise<readonly PictureBatch[]>;
}

export interface AutoencoderTaskSettings {
  readonly model: Model;
  readonly job: Job;
  readonly tensors: readonly TrainedTensor[];
  readonly builder: BuilderOptions;
  readonly pictures: PictureSource;
}

export function createAutoencoderTask({ model, job, tensors, builder, pictures }: AutoencoderTaskSettings): TrainingTask {
  const batchOf = ({ pixels, count, width, height }: PictureBatch, stream: readonly (string | number)[]): TaskBatch => {
    const { channels, factor } = model.latent;
    const latentShape = [count, channels, height / factor, width / factor];
    const noise = new Float32Array(latentShape.reduce((a, b) => a * b, 1));
    rng(job.train.seed, ...stream).fillNormal(noise);
    const feeds = new Map<string, HostTensor>([
      ['pixels', f32(pixels, [count, 3, height, width])],
      ['noise', f32(noise, latentShape)],
    ]);
    const buildLoss = (g: Builder): Value => autoencoderLoss(g, model, [count, 3, height, width], latentShape, job.autoencoder);
    return { key: `${count}x${height}x${width}`, buildLoss, feeds, size: count };
  };
  return {
    tensors,
    builder,
    batchAt: async (index) => batchOf(await pictures.batchAt(index), ['autoencoder', index]),
    measuringBatches: async () => (await pictures.measuringBatches()).map((batch, i) => batchOf(batch, ['autoencoder-measure', i])),
  };
}

/** Mean reconstruction error plus klWeight times the divergence from a unit normal, both per element. */
export function autoencoderLoss(g: Builder, model: Model, pixelShape: number[], latentShape: number[], settings: Job['autoencoder']): Value {
  const pixels = g.input('pixels', pixelShape);
  const noise = g.input('noise', latentShape);
  const moments = model.encode(g, pixels);
  const [mean_BChw, logVariance_BChw] = g.region('latent', () => splitMoments(g, moments));
  const latent = g.region('latent', () => g.add(mean_BChw, g.mul(g.exp(g.mul(logVariance_BChw, 0.5)), noise)));
  const decoded = model.decode(g, latent);
  return g.region('loss', () => {
    const all = { axes: [0, 1, 2, 3], keep: false };
    const difference = g.sub(decoded, pixels);
    const error = g.mean(settings.loss === 'l1' ? g.abs(difference) : g.mul(difference, difference), all);
    // KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² − 1 − ln σ²)
    const spread = g.sub(g.sub(g.exp(logVariance_BChw), logVariance_BChw), 1);
    const divergence = g.mean(g.mul(g.add(g.mul(mean_BChw, mean_BChw), spread), 0.5), all);
    return g.add(error, g.mul(divergence, settings.klWeight));
  });
}

/** moments[B,2C,h,w] -> mean and log variance (kept within ±30, ±20 as diffusers does), each [B,C,h,w]. */
export function splitMoments(g: Builder, moments: Value): [Value, Value] {
  const [batch, both, height, width] = moments.shape as [number, number, number, number];
  const sizes = [batch, both / 2, height, width];
  const mean = g.slice(moments, { starts: [0, 0, 0, 0], sizes });
  const logVariance = g.slice(moments, { starts: [0, both / 2, 0, 0], sizes });
  return [mean, g.minimum(g.maximum(logVariance, g.scalar(-30)), g.scalar(20))];
}
