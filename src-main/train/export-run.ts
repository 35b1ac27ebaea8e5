// What a finished run writes.
import { join } from 'node:path';
import type { TrainEventBody } from '../contract/events.ts';
import type { DeviceTensor, HostTensor } from '../runtime/runtime.ts';
import { createBuilder } from '../graph/builder.ts';
import { f32 } from '../runtime/runtime.ts';
import type { OpenRun } from './run-job.ts';
import { saveModel, type SaveModelSettings } from './save-model.ts';

/** Gives the files written. */
export async function exportRun(run: OpenRun, shown: ReadonlyMap<string, DeviceTensor>, pictures: (() => Promise<Float32Array[]>) | null, emit: (event: TrainEventBody) => void): Promise<string[]> {
  const { job, folder } = run;
  emit({ kind: 'phase', name: 'export', done: 0, total: 1, unit: 'files' });
  const values = new Map<string, HostTensor>();
  for (const [name, tensor] of shown) values.set(name, { dtype: 'f32', shape: tensor.shape, data: ((await tensor.read()) as Float32Array).slice() });
  if (run.plan.layers.length > 0) return [];
  const target = join(folder.exports, 'model');
  const config: SaveModelSettings['config'] = pictures ? { vae: { scaling_factor: await latentScale(run, values, await pictures()) } } : {};
  await saveModel(values, { base: job.base.model, target, dtype: job.output.dtype, config });
  return [target];
}

/** 1 / standard deviation of the latents of some pictures: puts them on the scale of the noise. */
async function latentScale({ model, runtime, modelFolder, plan }: OpenRun, values: ReadonlyMap<string, HostTensor>, batches: readonly Float32Array[]): Promise<number> {
  const side = model.nativeSide;
  let sum = 0;
  let squares = 0;
  let count = 0;
  for (const pixels of batches) {
    const shape = [pixels.length / (3 * side * side), 3, side, side];
    const g = createBuilder(plan.builder);
    const program = await runtime.compile(g.graph({ moments: g.mul(model.encode(g, g.input('pixels', shape)), 1) }), { weights: modelFolder.weights, name: 'encode' });
    const feeds = new Map([...values].map(([name, tensor]) => [name, runtime.upload(tensor)]));
    feeds.set('pixels', runtime.upload(f32(pixels, shape)));
    const moments = (await (await program.run(feeds)).get('moments')!.read()) as Float32Array;
    const half = moments.length / shape[0]! / 2;
    for (let i = 0; i < moments.length; i++) {
      if (Math.floor(i / half) % 2 === 1) continue;
      sum += moments[i]!;
      squares += moments[i]! ** 2;
      count++;
    }
    await program.dispose();
  }
  const deviation = Math.sqrt(squares / count - (sum / count) ** 2);
  return Number((1 / deviation).toFixed(5));
}
