// Whether a processor keeps copies of a program's weights in the layouts that its kernels like best.
import { sizeOf } from '../../base/shape.ts';
import type { Graph } from '../../graph/types.ts';

/**
 * Elements of weights up to which it does. A training step holds them up to three times then: forward, computed again and
 * turned round. That gains some 5 % for small models and nothing for large ones, whose layers have much work for each
 * weight that they read.
 */
const MOST = 300e6;
/** Where memory counts more than time. */
const MOST_SAVING = 30e6;

export const repacksWeights = (graph: Graph, savesMemory: boolean): boolean =>
  graph.nodes.reduce((sum, { leaf, shape }) => (leaf?.kind === 'weight' ? sum + sizeOf(shape) : sum), 0) <= (savesMemory ? MOST_SAVING : MOST);
