// Between stored bytes and f32 values.
import { assert, UserError } from '../base/errors.ts';
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from '../base/half.ts';
import { fileNameOf } from './file-dtype.ts';
import type { FileDType } from './file-dtype.ts';

/**
 * Values of a tensor as f32; `bytes` must begin at a multiple of 8 of its buffer. For f32 the result is a view.
 * i64, u64 and f64 are rounded to the nearest f32. `where` names the tensor in the error.
 * Error: `safetensors.unsupported-dtype` for complex numbers and floats of 8 bits and less.
 */
export function decodeF32(bytes: Uint8Array<ArrayBuffer>, dtype: FileDType, where = 'the tensor'):
Float32Array<ArrayBuffer> {
  const { buffer, byteOffset: at, byteLength: length } = bytes;
  switch (dtype) {
    case 'f32': return new Float32Array(buffer, at, length / 4);
    case 'f16': return toF32(f16ToF32(new Uint16Array(buffer, at, length / 2)));
    case 'bf16': return toF32(bf16ToF32(new Uint16Array(buffer, at, length / 2)));
    case 'f64': return new Float32Array(new Float64Array(buffer, at, length / 8));
    case 'i64': return Float32Array.from(new BigInt64Array(buffer, at, length / 8), Number);
    case 'u64': return Float32Array.from(new BigUint64Array(buffer, at, length / 8), Number);
    case 'i32': return new Float32Array(new Int32Array(buffer, at, length / 4));
    case 'u32': return new Float32Array(new Uint32Array(buffer, at, length / 4));
    case 'i16': return new Float32Array(new Int16Array(buffer, at, length / 2));
    case 'u16': return new Float32Array(new Uint16Array(buffer, at, length / 2));
    case 'i8': return new Float32Array(new Int8Array(buffer, at, length));
    case 'u8': return new Float32Array(bytes);
    case 'bool': return Float32Array.from(bytes, (byte) => (byte === 0 ? 0 : 1));
    default:
      throw new UserError('safetensors.unsupported-dtype', `${where} is stored as ${fileNameOf(dtype)}, which cannot ` +
        'be used here: choose a version of the model in F16, BF16 or F32.', { dtype });
  }
}

// The conversions return a Float32Array over a buffer they made, which is never shared.
const toF32 = (values: Float32Array): Float32Array<ArrayBuffer> => values as Float32Array<ArrayBuffer>;

/**
 * f32 values to stored bytes, rounded to nearest even. Error: `safetensors.f16-overflow` when a finite value does
 * not fit f16 (65504), because it would be written as infinity.
 */
export function encodeTensor(values: Float32Array, dtype: 'f32' | 'f16' | 'bf16', name = 'a tensor'): Uint8Array {
  if (dtype === 'f32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const halves = dtype === 'f16' ? f32ToF16(values) : f32ToBf16(values);
  if (dtype === 'f16') refuseOverflow(values, halves, name);
  assert(halves.byteOffset === 0, 'a fresh conversion starts its buffer');
  return new Uint8Array(halves.buffer);
}

/** Elements that are rounded at once. */
const CHUNK = 1 << 14;
let halvesOfChunk: Uint16Array | undefined;

/** Rounds f32 values as storing them would, in place. Error: `safetensors.f16-overflow`. @param name of the tensor, for the error */
export function roundInPlace(values: Float32Array, dtype: 'f32' | 'f16' | 'bf16', name: string): void {
  if (dtype === 'f32') return;
  halvesOfChunk ??= new Uint16Array(CHUNK);
  for (let at = 0; at < values.length; at += CHUNK) {
    const chunk = values.subarray(at, at + CHUNK);
    const halves = halvesOfChunk.subarray(0, chunk.length);
    if (dtype === 'f16') {
      refuseOverflow(chunk, f32ToF16(chunk, halves), name);
      f16ToF32(halves, chunk);
    } else bf16ToF32(f32ToBf16(chunk, halves), chunk);
  }
}

function refuseOverflow(values: Float32Array, halves: Uint16Array, name: string): void {
  for (let i = 0; i < halves.length; i++) {
    if ((halves[i]! & 0x7fff) !== 0x7c00 || !Number.isFinite(values[i])) continue;
    throw new UserError('safetensors.f16-overflow', `"${name}" holds the value ${values[i]}, which is too ` +
      'large for F16: choose BF16 or F32 for this file.', { name, value: values[i] });
  }
}
