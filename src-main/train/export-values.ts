// The values an export writes: alpha folded into B, so that alpha = rank, and rounded to the element type of the files.
import { decodeF32, encodeTensor } from '../files/convert.ts';
import { DOWN, lowRankScale, MAGNITUDE, UP } from '../nn/low-rank.ts';
import type { Job } from '../contract/job.ts';
import { f32, type DeviceTensor, type HostTensor } from '../runtime/runtime.ts';
import type { TrainedValues } from './trained.ts';

export type FileDType = Job['output']['dtype'];

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
  return convert(values, scale, dtype).rounded;
}

/** The values in the scale of training, as the files' rounding leaves them: what previews show and merging takes. */
export async function roundForExport(values: ReadonlyMap<string, DeviceTensor>, { job }: { readonly job: Job }): Promise<TrainedValues> {
  return roundTrained(await readAll(values), trainedScale(job), job.output.dtype);
}

export function roundTrained(values: TrainedValues, scale: number, dtype: FileDType): Map<string, HostTensor> {
  const { rounded, factors } = convert(values, scale, dtype);
  return new Map([...rounded].map(([name, tensor]) => {
    const factor = factors.get(name)!;
    return [name, factor === 1 ? tensor : f32((tensor.data as Float32Array).map((value) => value / factor), tensor.shape)];
  }));
}

/** Copies of tensors on the host. */
export async function readAll(values: ReadonlyMap<string, DeviceTensor>): Promise<Map<string, HostTensor>> {
  const copies = new Map<string, HostTensor>();
  for (const [name, tensor] of values) copies.set(name, f32(((await tensor.read()) as Float32Array).slice(), tensor.shape));
  return copies;
}

function convert(values: TrainedValues, scale: number, dtype: FileDType): { rounded: Map<string, HostTensor>; factors: Map<string, number> } {
  const rounded = new Map<string, HostTensor>();
  const factors = new Map<string, number>();
  for (const [name, { shape, data }] of values) {
    const exact = data as Float32Array;
    const factor = factorOf(name, values, scale, dtype);
    const scaled = factor === 1 ? exact : exact.map((value) => value * factor);
    factors.set(name, factor);
    rounded.set(name, f32(round(scaled, dtypeInFile(name, dtype), name), shape));
  }
  return { rounded, factors };
}

function factorOf(name: string, values: TrainedValues, scale: number, dtype: FileDType): number {
  const isUp = name.endsWith(`.${UP}`);
  if (!isUp && !name.endsWith(`.${DOWN}`)) return 1;
  const shift = dtype === 'f16' ? balance(values, name.slice(0, -(isUp ? UP : DOWN).length), scale) : 1;
  return isUp ? scale * shift : 1 / shift;
}

/** The power of two by which B grows and A shrinks: until most of B is far from subnormal, or they are alike. */
function balance(values: TrainedValues, layer: string, scale: number): number {
  const down = largest(values.get(`${layer}${DOWN}`)!.data as Float32Array);
  const up = largest(values.get(`${layer}${UP}`)!.data as Float32Array) * Math.abs(scale);
  const wanted = LEAST_NORMAL_F16 * 2 ** 8;
  const mayDouble = (shift: number): boolean => up > 0 && up * shift < wanted && up * shift * 4 <= down / shift;
  let shift = 1;
  while (mayDouble(shift)) shift *= 2;
  return shift;
}

const largest = (values: Float32Array): number => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

const round = (values: Float32Array, dtype: FileDType, name: string): Float32Array =>
  dtype === 'f32' ? values : decodeF32(encodeTensor(values, dtype, name) as Uint8Array<ArrayBuffer>, dtype, name);
