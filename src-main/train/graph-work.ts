// How much a graph computes, in operations on numbers: products count two for each pair they multiply and add. It tells how
// much longer one graph takes than another, not how long.
import { sizeOf } from '../base/shape.ts';
import type { Graph, Value } from '../graph/types.ts';

/** What an element costs that is only read, changed and written; memory is slower than products. */
const ELEMENT = 8;

export const graphWork = ({ nodes }: Graph): number => nodes.reduce((sum, node) => sum + workOf(node), 0);

function workOf(node: Value): number {
  if (node.op === 'leaf' || node.op === 'reshape') return 0;
  return productsOf(node) + ELEMENT * sizeOf(node.shape);
}

function productsOf({ op, inputs, shape, attrs }: Value): number {
  const [a, b] = inputs.map((input) => input.shape);
  switch (op) {
    case 'conv2d': return 2 * sizeOf(shape) * sizeOf(b!.slice(1));
    // Both have as many products as the convolution: elements of dy times weights of one output.
    case 'conv2dInputGrad': return 2 * sizeOf(a!) * sizeOf(b!.slice(1));
    case 'conv2dWeightGrad': return 2 * sizeOf(b!) * sizeOf(shape.slice(1));
    case 'linear': return 2 * sizeOf(shape) * b!.at(-1)!;
    case 'lowRankLinear': {
      const rank = inputs[2]!.shape[0]!;
      return 2 * (sizeOf(shape) * b!.at(-1)! + rank * (sizeOf(a!) + sizeOf(shape)));
    }
    case 'matmul': case 'matmulAdd': return 2 * sizeOf(shape) * (attrs['transA'] === true ? a!.at(-2)! : a!.at(-1)!);
    // Scores and their product with the values.
    case 'attention': return 4 * sizeOf(shape) * b![1]!;
    default: return 0;
  }
}
