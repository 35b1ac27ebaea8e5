// The values an export writes: trained values rounded to the element type of the files.
import { decodeF32, encodeTensor } from '../files/convert.ts';
import type { DeviceTensor } from '../runtime/runtime.ts';
import type { OpenRun } from './run-job.ts';
import type { RoundedValues } from './preview.ts';

/** Magnitudes stay f32 in every file: rounding them would change the base weights too. */
const staysF32 = (name: string): boolean => name.endsWith('lora_magnitude_vector');

export async function roundForExport(values: ReadonlyMap<string, DeviceTensor>, { job }: Pick<OpenRun, 'job'>): Promise<RoundedValues> {
  const { dtype } = job.output;
  const rounded = new Map();
  for (const [name, tensor] of values) {
    const exact = ((await tensor.read()) as Float32Array).slice();
    const data = dtype === 'f32' || staysF32(name) ? exact : decodeF32(encodeTensor(exact, dtype, name) as Uint8Array<ArrayBuffer>, dtype, name);
    rounded.set(name, { dtype: 'f32', shape: tensor.shape, data });
  }
  return rounded;
}
