// Dropout of an adapter's branches: masks are drawn by name and fed to the training step, and to nothing else.
import { describe, expect, test } from 'vitest';
import { rng } from '../../src-main/base/rng.ts';
import { detectModel } from '../../src-main/catalog/families/index.ts';
import type { Builder } from '../../src-main/graph/builder.ts';
import type { Value } from '../../src-main/graph/types.ts';
import { drawMask, DropoutMasks, maskName } from '../../src-main/train/dropout.ts';
import { openModel } from '../../src-main/train/open-model.ts';
import { makePlan } from '../../src-main/train/plan.ts';
import { stepGraph, lossGraph } from '../../src-main/train/step-graph.ts';
import { eventsOf, jobAt, train, usePlace } from './run.ts';

const place = usePlace();

describe('a mask', () => {
  test.each([0.1, 0.5, 0.9])('leaves out a share of %d and keeps the mean', (rate) => {
    const mask = drawMask(rate, 100_001, rng(1, 'mask', rate));
    const zeros = mask.filter((value) => value === 0).length / mask.length;
    expect(Math.abs(zeros - rate)).toBeLessThan(0.006);
    expect(new Set(mask).size).toBe(2);
    expect(Math.max(...mask)).toBeCloseTo(1 / (1 - rate), 2);
    const mean = mask.reduce((a, b) => a + b, 0) / mask.length;
    expect(Math.abs(mean - 1)).toBeLessThan(0.03);
  });
});

describe('the masks of a batch', () => {
  const loss = (g: Builder): Value => {
    const masked = g.mul(g.input('x', [2, 3]), g.training ? g.input(maskName('unet.a'), [2, 3]) : g.constant([1], [1]));
    const other = g.training ? g.mul(masked, g.input(maskName('unet.b'), [3], 'f16').dtype === 'f16' ? g.cast(g.input(maskName('unet.b'), [3], 'f16'), { to: 'f32' }) : masked) : masked;
    return g.mean(other, { axes: [0, 1], keep: false });
  };
  const masks = new DropoutMasks(0.5, 3, {});

  test('are those that the step declares, in its shapes and element types', () => {
    const feeds = masks.feeds(0, 'k', loss);
    expect([...feeds].map(([name, { shape, dtype }]) => [name, shape, dtype])).toEqual([['dropout.unet.a', [2, 3], 'f32'], ['dropout.unet.b', [3], 'f16']]);
    // 2 and 0 as f16 bits.
    expect([...feeds.get('dropout.unet.b')!.data].every((bits) => bits === 0 || bits === 0x4000)).toBe(true);
  });

  test('are the same for a batch whenever it is asked for, and others for others', () => {
    const big = (g: Builder): Value => g.mean(g.mul(g.input(maskName('a'), [64]), g.input(maskName('b'), [64])), { axes: [0], keep: false });
    const of = (index: number, seed = 3) => new DropoutMasks(0.5, seed, {}).feeds(index, 'k', big);
    expect(of(7)).toEqual(of(7));
    const all = [of(7).get('dropout.a')!, of(7).get('dropout.b')!, of(8).get('dropout.a')!, of(7, 4).get('dropout.a')!].map(({ data }) => data.join());
    expect(new Set(all).size).toBe(4);
  });

  test('cost nothing without dropout', () => {
    expect(new DropoutMasks(0, 3, {}).feeds(0, 'k', () => expect.fail('nothing is built')).size).toBe(0);
  });

  test('the graph is built once for each shape', () => {
    let built = 0;
    const counted = new DropoutMasks(0.5, 3, {});
    for (const [index, key] of [[0, 'k'], [1, 'k'], [2, 'other'], [3, 'k']] as const) counted.feeds(index, key, (g) => (built++, loss(g)));
    expect(built).toBe(2);
  });
});

describe('a job with dropout', () => {
  const adapter = { kind: 'lora', targets: 'attention', rank: 2, alpha: 2 } as const;

  test('has one mask per layer in its training step, none where it is measured', () => {
    const folder = openModel(place.model);
    const model = detectModel(folder.files);
    const plan = makePlan(jobAt(place, { adapter: { ...adapter, dropout: 0.3 } }), model, folder, 'f32');
    const loss = (g: Builder): Value => {
      const prediction = model.denoise(g, { sample: g.input('sample', [2, 4, 8, 8]), timestep: g.input('timestep', [2]), context: g.input('context', [2, 5, 16]) });
      return g.mean(prediction, { axes: [0, 1, 2, 3], keep: false });
    };
    const inputs = (graph: ReturnType<typeof lossGraph>): string[] => graph.nodes.flatMap(({ leaf }) => (leaf?.name.startsWith('dropout.') ? [leaf.name] : [])).sort();
    const fed = [...new DropoutMasks(0.3, 0, plan.builder).feeds(0, 'k', loss).keys()].sort();
    expect(fed).toEqual(plan.layers.map(({ path }) => `dropout.${path}`).sort());
    expect(inputs(stepGraph(loss, { builder: plan.builder, checkpointing: true, scalesLoss: false }))).toEqual(fed);
    expect(inputs(lossGraph(loss, plan.builder))).toEqual([]);
  });

  test('begins with the same loss and another gradient, and learns', async () => {
    const runs = [];
    for (const dropout of [0, 0.5]) runs.push(await train(place, jobAt(place, { adapter: { ...adapter, dropout }, optimizer: { kind: 'adamw', learningRate: 0.01 }, train: { steps: 3, saveEvery: 0 } })));
    const [plain, dropped] = runs.map(({ events }) => ({ step: eventsOf(events, 'step')[0]!, probe: eventsOf(events, 'probe')[0]!.loss }));
    expect(dropped!.probe).toBe(plain!.probe);
    expect(dropped!.step.loss).toBe(plain!.step.loss);
    expect(Math.abs(dropped!.step.gradNorm! / plain!.step.gradNorm! - 1)).toBeGreaterThan(0.01);
    expect(eventsOf(runs[1]!.events, 'verdict').filter(({ name }) => name !== 'export').map(({ ok }) => ok)).toEqual([true, true]);
  });
});
