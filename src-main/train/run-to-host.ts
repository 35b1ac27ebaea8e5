// One run of a program with feeds and results in host memory.
import { scoped } from '../base/dispose.ts';
import type { Shape } from '../base/shape.ts';
import type { DeviceTensor, HostTensor, Program, Runtime } from '../runtime/runtime.ts';
import { toF32 } from './open-model.ts';

/** A result as f32; a copy. */
export interface HostResult {
  readonly shape: Shape;
  readonly data: Float32Array;
}

/**
 * Uploads `feeds`, runs, and gives copies of all results. Nothing of it stays on the device, whatever happens.
 * @param values feeds that are on the device already; they stay there
 */
export function runToHost(
  runtime: Runtime, program: Program, feeds: Iterable<readonly [string, HostTensor]>, values: Iterable<readonly [string, DeviceTensor]> = [],
): Promise<Map<string, HostResult>> {
  return scoped(async (keep) => {
    const all = new Map(values);
    for (const [name, tensor] of feeds) all.set(name, keep(runtime.upload(tensor)));
    const results = await program.run(all);
    for (const tensor of results.values()) keep(tensor);
    const host = new Map<string, HostResult>();
    for (const [name, tensor] of results) host.set(name, { shape: tensor.shape, data: toF32((await tensor.read()) as Float32Array).slice() });
    return host;
  });
}
