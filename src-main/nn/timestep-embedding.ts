// Sinusoidal embeddings of scalars (Ho et al. 2020, section B; Vaswani et al. 2017, section 3.5).
import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { castTo } from './cast.ts';
import { linear } from './linear.ts';

const LONGEST_PERIOD = 10000;

export interface SinusoidOptions {
  readonly size: number;
  /** Cosines before sines. */
  readonly flipSinToCos: boolean;
  /** Taken from the number of frequencies in the denominator of the exponent. */
  readonly freqShift: number;
}

/** t[N] f32 -> [N,size] f32. An odd size ends with a zero. */
export function sinusoid(g: Builder, t: Value, { size, flipSinToCos, freqShift }: SinusoidOptions): Value {
  const half = size >> 1;
  const frequencies = Array.from({ length: half }, (_, i) => frequency(i, half - freqShift));
  const phases = g.mul(g.reshape(t, { shape: [t.shape[0]!, 1] }), g.constant(frequencies, [1, half]));
  const waves = [g.sin(phases), g.cos(phases)];
  const embedding = g.concat(flipSinToCos ? waves.reverse() : waves, { axis: 1 });
  return size % 2 === 0 ? embedding : g.pad(embedding, { before: [0, 0], after: [0, 1] });
}

/**
 * Rounded to f32 at each step as models were trained: timesteps go to 1000, so that the rounding of a frequency shows
 * in the phase.
 */
function frequency(i: number, count: number): number {
  const exponent = Math.fround(Math.fround(-Math.log(LONGEST_PERIOD)) * i) / count;
  return Math.fround(Math.exp(Math.fround(exponent)));
}

/** Two linear layers with SiLU between: `<path>.linear_1`, `<path>.linear_2`. x[N,in] -> [N,width]. */
export function timestepEmbedding(g: Builder, path: string, x: Value, width: number): Value {
  const hidden = g.silu(linear(g, `${path}.linear_1`, castTo(g, x, g.compute), width));
  return linear(g, `${path}.linear_2`, hidden, width);
}
