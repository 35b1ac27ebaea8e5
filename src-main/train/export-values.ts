// The values an export writes: alpha folded into B, so that alpha = rank, and rounded to the element type of the files.
import { roundInPlace } from '../files/convert.ts';
import type { FileDType as StoredDType } from '../files/file-dtype.ts';
import { DOWN, lowRankScale, MAGNITUDE, UP } from '../nn/low-rank.ts';
import type { Job } from '../contract/job.ts';
import { f32, type DeviceTensor, type HostTensor } from '../runtime/runtime.ts';
import type { TrainedValues } from './trained.ts';

export type FileDType = Job['output']['dtype'];

/** Types that weights are computed from, and written in. */
export const isComputed = (dtype: StoredDType): dtype is FileDType => dtype === 'f16' || dtype === 'bf16' || dtype === 'f32';

/** Magnitudes stay f32 in every file: rounding them would change the base weights too. */
export const dtypeInFile = (name: string, dtype: FileDType): FileDType => (name.endsWith(`.${MAGNITUDE}`) ? 'f32' : dtype);

/** Below this an f16 is subnormal and loses digits. */
const LEAST_NORMAL_F16 = 2 ** -14;

/** alpha / rank as trained, or 1 for what has neither. */
export function trainedScale({ task, adapter }: Pick<Job, 'task' | 'adapter'>): number {
  const { rank, alpha, rsLora } = adapter as Readonly<Record<string, unknown>>;
  return task === 'adapter' && typeof rank === 'number' && typeof alpha === 'number' ? lowRankScale({ rank, alpha, rsLora: rsLora === true }) : 1;
}

/**
 * Values as adapter files hold them: `scale` in B, everything rounded to `dtype` but magnitudes. Where B alone would lose
 * digits in f16, a power of two moves from A to B; their product stays.
 */
export function valuesInFile(values: TrainedValues, scale: number, dtype: FileDType): Map<string, HostTensor> {
  return convert(values, scale, dtype, false);
}

/** The values in the scale of training, as the files' rounding leaves them: what previews show and merging takes. */
export async function roundForExport(values: ReadonlyMap<string, DeviceTensor>, { job }: { readonly job: Job }): Promise<TrainedValues> {
  return roundTrained(await readAll(values), trainedScale(job), job.output.dtype);
}

export function roundTrained(values: TrainedValues, scale: number, dtype: FileDType): Map<string, HostTensor> {
  return convert(values, scale, dtype, true);
}

/** Copies of tensors on the host. */
export async function readAll(values: ReadonlyMap<string, DeviceTensor>): Promise<Map<string, HostTensor>> {
  const copies = new Map<string, HostTensor>();
  for (const [name, tensor] of values) copies.set(name, f32(((await tensor.read()) as Float32Array).slice(), tensor.shape));
  return copies;
}

/** @param isTrained in the scale of training, not in that of files */
function convert(values: TrainedValues, scale: number, dtype: FileDType, isTrained: boolean): Map<string, HostTensor> {
  const converted = new Map<string, HostTensor>();
  const shifts = new Map<string, number>();
  for (const [name, { shape, data }] of values) {
    const factor = factorOf(name, values, scale, dtype, shifts);
    const own = dtypeInFile(name, dtype);
    if (factor === 1 && own === 'f32') {
      converted.set(name, f32(data as Float32Array, shape));
      continue;
    }
    const made = times(data as Float32Array, factor);
    roundInPlace(made, own, name);
    if (isTrained && factor !== 1) for (let i = 0; i < made.length; i++) made[i]! /= factor;
    converted.set(name, f32(made, shape));
  }
  return converted;
}

function times(values: Float32Array, factor: number): Float32Array<ArrayBuffer> {
  const made = new Float32Array(values);
  if (factor !== 1) for (let i = 0; i < made.length; i++) made[i]! *= factor;
  return made;
}

/** @param shifts of layers that were asked for before */
function factorOf(name: string, values: TrainedValues, scale: number, dtype: FileDType, shifts: Map<string, number>): number {
  const isUp = name.endsWith(`.${UP}`);
  if (!isUp && !name.endsWith(`.${DOWN}`)) return 1;
  const layer = name.slice(0, -(isUp ? UP : DOWN).length);
  const shift = shifts.get(layer) ?? (dtype === 'f16' ? balance(values, layer, scale) : 1);
  shifts.set(layer, shift);
  return isUp ? scale * shift : 1 / shift;
}

/** The power of two by which B grows and A shrinks: until most of B is far from subnormal, or they are alike. */
function balance(values: TrainedValues, layer: string, scale: number): number {
  const wanted = LEAST_NORMAL_F16 * 2 ** 8;
  const up = largest(values.get(`${layer}${UP}`)!.data as Float32Array, wanted / Math.abs(scale)) * Math.abs(scale);
  if (up >= wanted) return 1;
  const down = largest(values.get(`${layer}${DOWN}`)!.data as Float32Array);
  const mayDouble = (shift: number): boolean => up > 0 && up * shift < wanted && up * shift * 4 <= down / shift;
  let shift = 1;
  while (mayDouble(shift)) shift *= 2;
  return shift;
}

/** Largest absolute value, or the first that is `enough`. */
function largest(values: Float32Array, enough = Infinity): number {
  let most = 0;
  for (let i = 0; i < values.length && most < enough; i++) most = Math.max(most, Math.abs(values[i]!));
  return most;
}
