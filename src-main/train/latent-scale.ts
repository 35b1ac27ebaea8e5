// The scale of an autoencoder's latents: 1 / their standard deviation, which puts them on the scale of the noise.
import { assert } from '../base/errors.ts';
import { scoped } from '../base/dispose.ts';
import { createBuilder } from '../graph/builder.ts';
import { f32 } from '../runtime/runtime.ts';
import type { OpenRun } from './run-job.ts';
import { runToHost } from './run-to-host.ts';
import type { PictureBatch } from './tasks/autoencoder.ts';
import type { TrainedValues } from './trained.ts';

/** Measured on the means of the latents of some pictures, of any sizes. @param values of the trained tensors */
export async function latentScale({ model, runtime, baseModel, plan }: Pick<OpenRun, 'model' | 'runtime' | 'baseModel' | 'plan'>, values: TrainedValues, batches: readonly PictureBatch[]): Promise<number> {
  let sum = 0;
  let squares = 0;
  let count = 0;
  for (const { pixels, count: pictures, width, height } of batches) {
    const shape = [pictures, 3, height, width];
    const moments = await scoped(async (keep) => {
      const g = createBuilder(plan.builder);
      const graph = g.graph({ moments: g.mul(model.encode(g, g.input('pixels', shape)), 1) });
      const program = keep(await runtime.compile(graph, { weights: baseModel.weights, name: 'encode' }));
      return (await runToHost(runtime, program, [...values, ['pixels', f32(pixels, shape)]])).get('moments')!.data;
    });
    const half = moments.length / pictures / 2;
    for (let i = 0; i < moments.length; i++) {
      // Every other half is log variances.
      if (Math.floor(i / half) % 2 === 1) continue;
      sum += moments[i]!;
      squares += moments[i]! ** 2;
      count++;
    }
  }
  assert(count > 0, 'there are pictures to measure');
  const deviation = Math.sqrt(squares / count - (sum / count) ** 2);
  return Number((1 / deviation).toFixed(5));
}
