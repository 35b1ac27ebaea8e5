// Where the parameters of a part of a model lie among the tensors of a file. Parameters have the keys and shapes of the
// diffusers layout; files may name, shape and join them differently.
import { UserError } from '../base/errors.ts';
import type { Shape } from '../base/shape.ts';

/** The header of a file of weights: element type (`f16`, `f8_e4m3`, ...) and shape by name. */
export type TensorTypes = ReadonlyMap<string, { readonly dtype: string; readonly shape: Shape }>;

/**
 * How a parameter lies in a tensor: `same` shape, `reshaped` (same elements in the same order), `rows` of a tensor that
 * joins several parameters along its first axis, or `transposed` (two axes exchanged).
 */
export type Form = 'same' | 'reshaped' | 'rows' | 'transposed';

export interface Placed {
  /** Name of the tensor in the file. */
  readonly tensor: string;
  /** Shape of the parameter. */
  readonly shape: Shape;
  readonly form: Form;
  /** First row of the tensor that belongs to the parameter; 0 unless `form` is `rows`. */
  readonly firstRow: number;
}

/** By the parameter's key in the diffusers layout, without the component: `conv_in.weight`. */
export type Parameters = ReadonlyMap<string, Placed>;

export const placed = (tensor: string, shape: Shape, form: Form = 'same', firstRow = 0): Placed => ({ tensor, shape, form, firstRow });

/** Error: `model.twice` when two tensors would be the same parameter, so that it is not clear which of them counts. */
export function collectParameters(entries: Iterable<readonly [key: string, place: Placed]>): Parameters {
  const found = new Map<string, Placed>();
  for (const [key, place] of entries) {
    const other = found.get(key);
    if (other) {
      throw new UserError('model.twice', `The tensors ${JSON.stringify(other.tensor.slice(0, 120))} and ${JSON.stringify(place.tensor.slice(0, 120))} of the model are the same parameter in two spellings, so which of them counts is not clear: get the file from another source.`, { tensors: [other.tensor, place.tensor], key });
    }
    found.set(key, place);
  }
  return found;
}

/** The header that a file in the diffusers layout would have. */
export const typesOf = (parameters: Parameters, tensors: TensorTypes): TensorTypes =>
  new Map([...parameters].map(([key, { tensor, shape }]) => [key, { dtype: tensors.get(tensor)!.dtype, shape }]));

/** Elements of a matrix with its axes exchanged. */
export function transposed<T extends Float32Array | Uint16Array>(data: T, [rows, columns]: Shape): T {
  const result = data.slice() as T;
  for (let i = 0; i < rows!; i++) for (let j = 0; j < columns!; j++) result[j * rows! + i] = data[i * columns! + j]!;
  return result;
}

/** A parameter's elements from all elements of its tensor. Undoes `putParameter`. */
export function takeParameter(tensor: Float32Array, { form, shape, firstRow }: Placed): Float32Array {
  if (form === 'transposed') return transposed(tensor, shape.toReversed());
  if (form !== 'rows') return tensor;
  const size = shape.reduce((a, b) => a * b, 1);
  const start = (firstRow * size) / shape[0]!;
  return tensor.subarray(start, start + size);
}

/** Writes a parameter's elements to their place among all elements of its tensor, for writing a file in its own layout. */
export function putParameter(tensor: Float32Array, { form, shape, firstRow }: Placed, values: Float32Array): void {
  if (form === 'transposed') tensor.set(transposed(values, shape));
  else tensor.set(values, form === 'rows' ? (firstRow * values.length) / shape[0]! : 0);
}
