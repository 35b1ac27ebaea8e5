// Training steps for tests: a small network with one region per block, and the tiny UNet of the golden files.
import { gradients } from '../../src-main/graph/autodiff.ts';
import { createBuilder, type Builder, type BuilderOptions } from '../../src-main/graph/builder.ts';
import type { Graph, Value } from '../../src-main/graph/types.ts';
import { parseUNetConfig } from '../../src-main/nn/unet-config.ts';
import { unet } from '../../src-main/nn/unet.ts';
import { readConfig, readGolden } from '../nn/golden.ts';
import { valuesOf } from '../ops/oracle.ts';

export interface Step {
  readonly graph: Graph;
  /** Inputs, weights and trained values by name. */
  readonly feeds: ReadonlyMap<string, Float64Array>;
}

/** Loss and gradients of everything that is trained; gradients that are leaves get a node. */
export function withGradients(g: Builder, loss: Value): Graph {
  const trained = [...g.leaves.values()].filter(({ leaf }) => leaf!.kind === 'trainable');
  const found = gradients(g, loss, trained);
  return g.graph({ loss, ...Object.fromEntries(trained.map((leaf, i) => [`grad.${leaf.leaf!.name}`, found[i]!])) });
}

/** `blocks` residual blocks, each a region with a frozen and a trained weight and attention in between; x[1,4,6]. */
export function smallStep(blocks = 3, options: BuilderOptions = {}): Step {
  const g = createBuilder({ ...options, trains: (path) => path.endsWith('up.weight') });
  let x = g.input('x', [1, 4, 6]);
  for (let i = 0; i < blocks; i++) {
    x = g.region(`block${i}`, () => {
      const hidden = g.silu(g.linear(x, g.param(`block${i}.down.weight`, [8, 6]), null));
      const mixed = g.attention(hidden, g.quickGelu(hidden), hidden, { heads: 2 });
      return g.add(x, g.linear(g.mul(mixed, hidden), g.param(`block${i}.up.weight`, [6, 8]), null));
    });
  }
  const loss = g.region('loss', () => g.mean(g.mul(x, x), { axes: [0, 1, 2], keep: false }));
  const graph = withGradients(g, loss);
  const leaves = graph.nodes.filter(({ leaf }) => leaf && leaf.kind !== 'constant');
  return { graph, feeds: new Map(leaves.map(({ leaf, shape }, i) => [leaf!.name, valuesOf({ shape, range: [-0.7, 0.7] }, i + 1)])) };
}

/** One step of the tiny SD 1 UNet; the weights whose path matches `trained` are trained. */
export function unetStep(trained: RegExp, options: BuilderOptions = {}): Step {
  const io = readGolden('unet', 'sd1', 'io.safetensors');
  const weights = readGolden('unet', 'sd1', 'unet', 'diffusion_pytorch_model.safetensors');
  const g = createBuilder({ ...options, trains: (path) => trained.test(path) });
  const input = (name: string): Value => g.input(name, io.shape(name));
  const config = parseUNetConfig(readConfig('unet', 'sd1', 'unet', 'config.json'));
  const prediction = unet(g, config, { sample: input('sample'), timestep: input('timestep'), context: input('encoder_hidden_states') });
  const loss = g.region('loss', () => {
    const difference = g.sub(prediction, input('target'));
    return g.mean(g.mul(difference, difference), { axes: [0, 1, 2, 3], keep: false });
  });
  const graph = withGradients(g, loss);
  const feeds = graph.nodes.flatMap(({ leaf }) => {
    if (!leaf || leaf.kind === 'constant') return [];
    return [[leaf.name, leaf.kind === 'input' ? io.data(leaf.name) : weights.data(leaf.name.slice('unet.'.length))] as const];
  });
  return { graph, feeds: new Map(feeds) };
}
