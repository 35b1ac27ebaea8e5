// Round numbers for axes.

export interface Axis {
  readonly min: number;
  readonly max: number;
  readonly ticks: readonly number[];
  readonly isLog: boolean;
}

/** An axis over these values that ends at round numbers. Values must be finite (and positive for a logarithmic axis). */
export function linearAxis(values: readonly number[], wanted = 6): Axis {
  let min = Math.min(...values);
  let max = Math.max(...values);
  if (!Number.isFinite(min)) [min, max] = [0, 1];
  if (max === min) {
    const room = min === 0 ? 1 : Math.abs(min) * 0.1;
    [min, max] = [min - room, max + room];
  }
  const step = roundStep((max - min) / wanted);
  const first = Math.floor(min / step + 1e-9);
  const last = Math.ceil(max / step - 1e-9);
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  return { min: first * step, max: last * step, ticks, isLog: false };
}

/** 1, 2 or 5 times a power of ten, at least `least`. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  const factor = [1, 2, 5, 10].find((each) => each * power >= least * (1 - 1e-9)) ?? 10;
  return factor * power;
}

/** Logarithmic axis with ticks at 1, 2 and 5 (or only 1) times powers of ten. */
export function logAxis(values: readonly number[]): Axis {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const [min, max] = low === high ? [low / 2, high * 2] : [low / 1.25, high * 1.25];
  const factors = Math.log10(max / min) > 2.5 ? [1] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(min)); power <= Math.log10(max); power++) {
    for (const factor of factors) {
      const tick = factor * 10 ** power;
      if (tick >= min && tick <= max) ticks.push(tick);
    }
  }
  return { min, max, ticks, isLog: true };
}

/** Position of a value along an axis: 0 at its start, 1 at its end. */
export function alongAxis({ min, max, isLog }: Axis, value: number): number {
  return isLog ? Math.log(value / min) / Math.log(max / min) : (value - min) / (max - min);
}

/** Short text of a tick: 0.02, 1500, 5e-5. */
export function tickText(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e6 || size < 9.99e-4) return Number(value.toPrecision(3)).toExponential().replace('e+', 'e').replaceAll('-', '−').replace('e−', 'e-');
  return String(Number(value.toPrecision(6))).replace('-', '−');
}
