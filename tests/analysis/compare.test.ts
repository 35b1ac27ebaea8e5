// The text of the comparison says what its numbers allow, and no more.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { writeReport } from '../../tools/compare/report.ts';
import type { Outcome, Sweep } from '../../tools/compare/sweep.ts';
import { temporaryFolder } from '../files/temporary.ts';

const sweep: Sweep = {
  seeds: [1, 2],
  methods: ['One', 'Two'].map((name, i) => ({ name, color: i === 0 ? '#ff0000' : '#0000ff', set: [], learningRates: [1e-3, 1e-2] })),
};

const outcome = (method: string, rate: number, seed: number, loss: number | null): Outcome => ({
  method, rate, seed, loss, failure: loss === null ? 'It failed.' : null, base: 0.5, probes: [], seconds: 0.25, parameters: 2e6,
  points: loss === null ? [] : [1, 2, 3].map((value) => ({ layer: `a.${value}.to_q`, step: 1, direction: value, magnitude: (method === 'One' ? 1 : -1) * value + 5, relativeMagnitude: value })),
});

async function textOf(outcomes: readonly Outcome[], planned: number): Promise<string> {
  const folder = temporaryFolder();
  await writeReport(folder, sweep, outcomes, planned);
  return readFileSync(join(folder, 'comparison.md'), 'utf8');
}

test('best rates, failures, and an order that is larger than the noise', async () => {
  const text = await textOf([
    outcome('One', 1e-3, 1, 0.4), outcome('One', 1e-3, 2, 0.41), outcome('One', 1e-2, 1, 0.2), outcome('One', 1e-2, 2, null),
    outcome('Two', 1e-3, 1, 0.3), outcome('Two', 1e-3, 2, 0.302), outcome('Two', 1e-2, 1, 0.35), outcome('Two', 1e-2, 2, 0.35),
  ], 8);
  // A rate at which a seed failed is not the best one.
  expect(text).toContain('| One (best) | 0.001 | 0.40500 ± 0.00707 | −19.0 % | 2 | 0 |');
  expect(text).toContain('| One | 0.01 | 0.20000 ± 0.00000 | −60.0 % | 2 | 1 |');
  expect(text).toContain('| Two (best) | 0.001 | 0.30100 ± 0.00141 | −39.8 % | 2 | 0 |');
  expect(text).toContain('Two 0.30100, One 0.40500. The gap between the first two is 0.10400; single seeds deviate by 0.00707. It is larger');
  expect(text).toContain('| One | +1.00, +1.00 | +1.00, +1.00 | +1.00, +1.00 | +1.00, +1.00 |');
  expect(text).toContain('| Two | −1.00, −1.00 | +1.00, +1.00 |');
  expect(text).toContain('One: 2 of 2 seeds positive; Two: 0 of 2 seeds positive');
  expect(text).not.toMatch(/NaN|undefined|Unfinished/);
});

test('within the noise there is no order, and with one seed nothing is said', async () => {
  const near = await textOf([
    outcome('One', 1e-3, 1, 0.30), outcome('One', 1e-3, 2, 0.34), outcome('Two', 1e-3, 1, 0.31), outcome('Two', 1e-3, 2, 0.32),
  ], 8);
  expect(near).toContain('do not tell the two apart');
  expect(near).toContain('Unfinished: 4 of 8 runs');
  expect(await textOf([outcome('One', 1e-3, 1, 0.3), outcome('Two', 1e-3, 1, 0.4)], 8)).toContain('nothing can be said about the order');
});
