// Sine and cosine for devices whose own are too coarse: WGSL promises an absolute error of 2^-11 within [-π, π] and
// nothing beyond, Direct3D 0.0008 within 100 turns, while phases of timestep embeddings go to 1000 radians.
import type { OnnxContext, OnnxEmitter } from './types.ts';

/** π in three parts of which the first two are short, so that their products with a half-integer below 2^15 are exact. */
const PI_PARTS = [3.140625, 9.67502593994140625e-4, 1.509957990978376e-7] as const;
/** Taylor series of sin r / r in r²; with |r| <= π/2 the rest is below 6e-10. */
const SERIES = [1, -1 / 6, 1 / 120, -1 / 5040, 1 / 362880, -1 / 39916800, 1 / 6227020800] as const;

/** Devices with an exact sine of their own. */
const isExact = (device: string): boolean => device === 'cpu' || device === 'cuda';

/** Lowers sin or cos of an f32 or f16; f32 results are within 2e-7 + 6e-8·|x| of the truth for |x| below 1e5. */
export function lowerSine(e: OnnxEmitter, name: string, { output: { dtype } }: Pick<OnnxContext<unknown>, 'output'>, wave: 'Sin' | 'Cos'): string {
  if (isExact(e.device) || dtype !== 'f32') return e.node(wave, [name]);
  const number = (value: number): string => e.scalar(value, 'f32');
  const mul = (a: string, b: string): string => e.node('Mul', [a, b]);
  const add = (a: string, b: string): string => e.node('Add', [a, b]);

  // Sine: x = kπ + r with k the nearest integer, sin x = (−1)^k sin r. Cosine: k = n + 1/2, cos x = −(−1)^n sin r.
  const isSine = wave === 'Sin';
  const turns = mul(name, number(1 / Math.PI));
  const whole = e.node('Floor', [isSine ? add(turns, number(0.5)) : turns]);
  const k = isSine ? whole : add(whole, number(0.5));
  const r = PI_PARTS.reduce((rest, part) => e.node('Sub', [rest, mul(k, number(part))]), name);
  const odd = e.node('Sub', [whole, mul(e.node('Floor', [mul(whole, number(0.5))]), number(2))]);
  const sign = isSine ? e.node('Sub', [number(1), mul(odd, number(2))]) : e.node('Sub', [mul(odd, number(2)), number(1)]);

  const square = mul(r, r);
  const [first, ...others] = SERIES.toReversed();
  const ratio = others.reduce((sum, coefficient) => add(mul(sum, square), number(coefficient)), number(first!));
  return mul(mul(r, sign), ratio);
}
