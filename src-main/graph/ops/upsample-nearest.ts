import type { Composite } from '../types.ts';

/** Every pixel of x[N,C,H,W] repeated to a square of `factor` x `factor`. */
export const upsampleNearest: Composite<{ readonly factor: number }, 1> = {
  kind: 'composite',
  arity: 1,
  body: (g, [x], { factor }) => {
    const [batch, channels, height, width] = x!.shape as [number, number, number, number];
    const cells = g.reshape(x!, { shape: [batch, channels, height, 1, width, 1] });
    const repeated = g.expand(cells, { shape: [batch, channels, height, factor, width, factor] });
    return g.reshape(repeated, { shape: [batch, channels, height * factor, width * factor] });
  },
  onnx: (e, names, { attrs: { factor } }) => {
    const scales = [1, 1, factor, factor].map((scale) => e.node('Reshape', [e.scalar(scale, 'f32'), e.ints([1])]));
    return e.node('Resize', [names[0]!, '', e.node('Concat', scales, { axis: 0 })], {
      mode: 'nearest',
      nearest_mode: 'floor',
      coordinate_transformation_mode: 'asymmetric',
    });
  },
  cases: [{ inputs: [{ shape: [1, 2, 3, 2] }], attrs: { factor: 2 } }],
};
