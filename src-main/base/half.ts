// Conversions between f32 and the two 16-bit float types, which are kept as Uint16Array bits. Rounding is to the
// nearest, ties to even. NaN stays NaN (quiet), infinities and signed zeros stay.
import { assert } from './errors.ts';

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

const bitsOfF32 = (values: Float32Array): Uint32Array =>
  new Uint32Array(values.buffer, values.byteOffset, values.length);

/** Bits of an f32 to bits of the nearest f16. From 65520 up the result is infinity. */
function toF16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x38800000) {
    if (magnitude < 0x47800000) {
      // Rebias the exponent (127 -> 15) and round; a carry out of the mantissa runs into the exponent as it should.
      return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
    }
    return sign | (magnitude > 0x7f800000 ? 0x7e00 | ((magnitude >>> 13) & 0x3ff) : 0x7c00);
  }
  const shift = 126 - (magnitude >>> 23);
  if (shift > 24) return sign;
  const mantissa = (magnitude & 0x7fffff) | 0x800000;
  const kept = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return sign | (rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept);
}

const toBf16 = (bits: number): number =>
  (bits & 0x7fffffff) > 0x7f800000 ? (bits >>> 16) | 0x40 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;

function makeF16Table(): Uint32Array {
  const table = new Uint32Array(0x10000);
  for (let half = 0; half < 0x10000; half++) {
    const sign = (half & 0x8000) << 16;
    const exponent = (half >>> 10) & 31;
    const mantissa = half & 0x3ff;
    if (exponent === 31) {
      table[half] = sign | 0x7f800000 | (mantissa << 13);
    } else if (exponent > 0) {
      table[half] = sign | ((exponent + 112) << 23) | (mantissa << 13);
    } else {
      scratch[0] = mantissa * 2 ** -24;
      table[half] = sign | scratchBits[0]!;
    }
  }
  return table;
}

let f16Table: Uint32Array | undefined;

/** Bits of the f16 nearest to `value`. */
export function f16BitsOf(value: number): number {
  // Rounding to f32 first would round twice; the f32 keeps a sticky last bit when it is not exact ("round to odd").
  scratch[0] = value;
  const nearest = scratch[0]!;
  let bits = scratchBits[0]!;
  if (nearest !== value && Number.isFinite(nearest) && !Number.isNaN(value)) {
    if (Math.abs(nearest) > Math.abs(value)) bits--;
    bits |= 1;
  }
  return toF16(bits);
}

/** Value of f16 bits. */
export function f16ValueOf(bits: number): number {
  f16Table ??= makeF16Table();
  scratchBits[0] = f16Table[bits & 0xffff]!;
  return scratch[0]!;
}

const target16 = (length: number, out?: Uint16Array): Uint16Array => {
  assert(out === undefined || out.length === length, 'the target of a conversion has another length');
  return out ?? new Uint16Array(length);
};

const target32 = (length: number, out?: Float32Array): Float32Array => {
  assert(out === undefined || out.length === length, 'the target of a conversion has another length');
  return out ?? new Float32Array(length);
};

/** The f16 nearest to a value. */
export const roundToF16 = (value: number): number => f16ValueOf(f16BitsOf(value));

/** The bf16 nearest to the f32 nearest to a value. */
export function roundToBf16(value: number): number {
  scratch[0] = value;
  scratchBits[0] = toBf16(scratchBits[0]!) << 16;
  return scratch[0]!;
}

/** Bits of halves, as numbers, to their values; in place. */
export function decodeHalves(bits: Float64Array, dtype: 'f16' | 'bf16'): Float64Array {
  if (dtype === 'f16') {
    f16Table ??= makeF16Table();
    const table = new Float32Array(f16Table.buffer);
    for (let index = 0; index < bits.length; index++) bits[index] = table[bits[index]!]!;
  } else {
    for (let index = 0; index < bits.length; index++) {
      scratchBits[0] = bits[index]! << 16;
      bits[index] = scratch[0]!;
    }
  }
  return bits;
}

/** f32 to f16 bits, into `out` when given (same length). Values of 65520 and more become infinite. */
export function f32ToF16(values: Float32Array, out?: Uint16Array): Uint16Array {
  const result = target16(values.length, out);
  const bits = bitsOfF32(values);
  for (let index = 0; index < bits.length; index++) result[index] = toF16(bits[index]!);
  return result;
}

/** f16 bits to f32; exact. */
export function f16ToF32(halves: Uint16Array, out?: Float32Array): Float32Array {
  f16Table ??= makeF16Table();
  const table = f16Table;
  const result = target32(halves.length, out);
  const bits = bitsOfF32(result);
  for (let index = 0; index < bits.length; index++) bits[index] = table[halves[index]!]!;
  return result;
}

/** f32 to bf16 bits, into `out` when given (same length). */
export function f32ToBf16(values: Float32Array, out?: Uint16Array): Uint16Array {
  const result = target16(values.length, out);
  const bits = bitsOfF32(values);
  for (let index = 0; index < bits.length; index++) result[index] = toBf16(bits[index]!);
  return result;
}

/** bf16 bits to f32; exact. */
export function bf16ToF32(halves: Uint16Array, out?: Float32Array): Float32Array {
  const result = target32(halves.length, out);
  const bits = bitsOfF32(result);
  for (let index = 0; index < bits.length; index++) bits[index] = halves[index]! << 16;
  return result;
}
