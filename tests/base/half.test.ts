import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bf16ToF32, f16BitsOf, f16ToF32, f16ValueOf, f32ToBf16, f32ToF16 } from '../../src-main/base/half.ts';

const ALL = Uint16Array.from({ length: 0x10000 }, (_, bits) => bits);
const isNaN16 = (bits: number): boolean => (bits & 0x7c00) === 0x7c00 && (bits & 0x3ff) !== 0;

/** Value by the definition of IEEE 754. */
function define(bits: number, exponentBits: number): number {
  const mantissaBits = 15 - exponentBits;
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> mantissaBits) & (2 ** exponentBits - 1);
  const fraction = (bits & (2 ** mantissaBits - 1)) / 2 ** mantissaBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

/** The nearest by search among all finite ones, the even one on a tie; `limit` is the first power above the range. */
function nearest(value: number, exponentBits: number, limit: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  const at = (bits: number): number => (bits === infinity ? limit : define(bits, exponentBits));
  const infinity = (2 ** exponentBits - 1) << (15 - exponentBits);
  let low = 0;
  let high = infinity;
  if (size >= limit) return sign | infinity;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (at(middle) <= size) low = middle;
    else high = middle;
  }
  const below = size - at(low);
  const above = at(high) - size;
  return sign | (below < above || (below === above && low % 2 === 0) ? low : high);
}

describe('f16', () => {
  it('all 65536 have the value of the definition', () => {
    const values = f16ToF32(ALL);
    expect(ALL.filter((bits) => !Object.is(values[bits], define(bits, 5)))).toHaveLength(0);
  });

  it('all 65536 come back', () => {
    const back = f32ToF16(f16ToF32(ALL));
    const comesBack = (bits: number): boolean => (isNaN16(bits) ? isNaN16(back[bits]!) : back[bits] === bits);
    expect(ALL.filter((bits) => !comesBack(bits))).toHaveLength(0);
  });

  it('rounds to the nearest, ties to even: between all neighbours', () => {
    const probes: number[] = [];
    for (let bits = 0; bits < 0x7bff; bits++) {
      const low = define(bits, 5);
      const high = define(bits + 1, 5);
      const middle = (low + high) / 2;
      const step = (high - low) / 1024;
      probes.push(middle, middle - step, middle + step);
    }
    const inputs = Float32Array.from(probes);
    const outputs = f32ToF16(inputs);
    const negative = f32ToF16(inputs.map((value) => -value));
    inputs.forEach((value, index) => {
      const expected = nearest(value, 5, 65536);
      if (outputs[index] !== expected) expect([value, outputs[index]]).toEqual([value, expected]);
      if (negative[index] !== (expected | 0x8000)) expect([-value, negative[index]]).toEqual([-value, expected | 0x8000]);
    });
  });

  it.each([
    [0, 0], [-0, 0x8000], [1, 0x3c00], [-2, 0xc000], [65504, 0x7bff], [65519.996, 0x7bff], [65520, 0x7c00],
    [1e30, 0x7c00], [Infinity, 0x7c00], [-Infinity, 0xfc00], [2 ** -24, 1], [2 ** -25, 0], [2 ** -25 * 1.0001, 1],
    [2 ** -149, 0], [-(2 ** -149), 0x8000], [2 ** -14, 0x400], [2 ** -14 - 2 ** -24, 0x3ff],
  ])('%f is %i', (value, bits) => {
    expect(f32ToF16(Float32Array.of(value))[0]).toBe(bits);
    expect(f16BitsOf(Math.fround(value))).toBe(bits);
  });

  it('NaN stays NaN', () => {
    const nans = new Float32Array(Uint32Array.of(0x7f800001, 0xffffffff, 0x7fc00000).buffer);
    for (const bits of f32ToF16(nans)) expect(isNaN16(bits)).toBe(true);
    expect(isNaN16(f16BitsOf(NaN))).toBe(true);
    expect(f16ValueOf(0x7e01)).toBeNaN();
  });

  it('rounds random values of all sizes as the search does, doubles only once', () => {
    fc.assert(fc.property(fc.double({ noNaN: true, min: -70000, max: 70000 }), (value) => {
      expect(f16BitsOf(value)).toBe(nearest(value, 5, 65536));
      expect(f32ToF16(Float32Array.of(value))[0]).toBe(nearest(Math.fround(value), 5, 65536));
    }), { numRuns: 5000, seed: 1 });
    // Rounding to f32 first would turn this just-above-a-tie into the tie.
    expect(f16BitsOf(1 + 2 ** -11 + 2 ** -40)).toBe(0x3c01);
    expect(f16BitsOf(1 + 3 * 2 ** -11 - 2 ** -40)).toBe(0x3c01);
  });
});

describe('bf16', () => {
  it('all 65536 have the value of the definition and come back', () => {
    const values = bf16ToF32(ALL);
    const back = f32ToBf16(values);
    expect(ALL.filter((bits) => !Object.is(values[bits], define(bits, 8)))).toHaveLength(0);
    const comesBack = (bits: number): boolean =>
      (Number.isNaN(values[bits]!) ? Number.isNaN(define(back[bits]!, 8)) : back[bits] === bits);
    expect(ALL.filter((bits) => !comesBack(bits))).toHaveLength(0);
  });

  it('rounds any f32 to the nearest, ties to even', () => {
    fc.assert(fc.property(fc.float({ noNaN: true }), (value) => {
      expect(f32ToBf16(Float32Array.of(value))[0]).toBe(nearest(value, 8, 2 ** 128));
    }), { numRuns: 5000, seed: 2 });
    const bits = Uint32Array.of(0x3f808000, 0x3f818000, 0x3f808001, 0x7f7fffff, 0x7f800001, 0xffffffff);
    const rounded = f32ToBf16(new Float32Array(bits.buffer));
    expect(Array.from(rounded.subarray(0, 4))).toEqual([0x3f80, 0x3f82, 0x3f81, 0x7f80]);
    expect(define(rounded[4]!, 8)).toBeNaN();
    expect(define(rounded[5]!, 8)).toBeNaN();
  });
});

it('conversions work on views and write into a given target', () => {
  const whole = Float32Array.of(9, 1, 2, 9);
  const target = new Uint16Array(4).subarray(1, 3);
  expect(f32ToF16(whole.subarray(1, 3), target)).toBe(target);
  expect([...target]).toEqual([0x3c00, 0x4000]);
  const back = new Float32Array(3).subarray(1);
  expect([...f16ToF32(target, back)]).toEqual([1, 2]);
  expect(() => f32ToBf16(whole, target)).toThrow(/another length/);
});
