// Start values for training from scratch.
import { assert } from '../base/errors.ts';
import type { Rng } from '../base/rng.ts';
import { sizeOf, type Shape } from '../base/shape.ts';

const EMBEDDING_DEVIATION = 0.02;

/** Layers that end a residual branch of a UNet, and its output: zero at the start, so that blocks begin as identities. */
const ZERO = /^unet\.(conv_out|.*\.(proj_out|conv2))\.(weight|bias)$/;
const NORM = /norm[^.]*\.(weight|bias)$/;
const TEXT = /\.(text_model|text_projection)\./;

/**
 * Start values of one parameter. Norms: 1 and 0. Embeddings and text encoders: normal with deviation 0.02, biases 0.
 * Linear and convolution layers: uniform in ±1/√fan-in, weight and bias alike.
 * @param path parameter path, component first
 * @param random a stream of this parameter's own, so that values do not depend on the order of parameters
 * @param weightShape shape of the weight that a bias belongs to; without it such a bias is 0
 */
export function initialValues(path: string, shape: Shape, random: Rng, weightShape?: Shape): Float32Array {
  const values = new Float32Array(sizeOf(shape));
  const isBias = path.endsWith('.bias');
  if (NORM.test(path)) return isBias ? values : values.fill(1);
  if (ZERO.test(path)) return values;
  if (TEXT.test(path)) return isBias ? values : random.fillNormal(values, 0, EMBEDDING_DEVIATION);
  assert(isBias || shape.length >= 2, `no rule for the start value of ${path}`);
  const owner = isBias ? weightShape : shape;
  if (!owner) return values;
  const bound = 1 / Math.sqrt(sizeOf(owner.slice(1)));
  return values.map(() => (2 * random.uniform() - 1) * bound);
}
