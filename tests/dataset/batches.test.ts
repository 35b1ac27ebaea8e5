import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBatches, type Batch } from '../../src-main/dataset/batches.ts';
import type { Draw, DrawSource } from '../../src-main/dataset/draws.ts';
import { refusal } from '../files/temporary.ts';

const source = (bucket: number, repeats = 1, variants = 1, regularization = false): DrawSource =>
  ({ bucket, repeats, regularization, variants: { length: variants } });
const anySource = (regularization: boolean) => fc.record({
  bucket: fc.integer({ min: 0, max: 3 }), repeats: fc.integer({ min: 1, max: 4 }),
  regularization: fc.constant(regularization), variants: fc.record({ length: fc.integer({ min: 1, max: 3 }) }),
});
const sources = fc.tuple(
  fc.array(anySource(false), { minLength: 1, maxLength: 9 }), fc.array(anySource(true), { maxLength: 5 }),
).map((lists) => lists.flat());
const batchSizes = fc.integer({ min: 1, max: 7 });
const take = (count: number, batches: { at(index: number): Batch }, first = 0): Batch[] =>
  Array.from({ length: count }, (_, index) => batches.at(first + index));
const tally = (draws: readonly Draw[], keyOf: (draw: Draw) => unknown): Map<unknown, number> => {
  const counts = new Map<unknown, number>();
  for (const draw of draws) counts.set(keyOf(draw), (counts.get(keyOf(draw)) ?? 0) + 1);
  return counts;
};

describe('batches', () => {
  it('have the full size and one shape', () => {
    fc.assert(fc.property(sources, batchSizes, fc.nat(1000), (list, batchSize, seed) => {
      for (const { bucket, entries } of take(40, createBatches(list, { batchSize, seed }))) {
        expect(entries.length).toBe(batchSize);
        expect(entries.every(({ item }) => list[item]!.bucket === bucket)).toBe(true);
        expect(entries.every(({ item, variant }) => variant < list[item]!.variants.length)).toBe(true);
        expect(entries.every(({ item, regularization }) => list[item]!.regularization === regularization)).toBe(true);
      }
    }), { numRuns: 60 });
  });

  it('draw every picture exactly `repeats` times in an epoch and lose none', () => {
    fc.assert(fc.property(sources, batchSizes, fc.nat(1000), (list, batchSize, seed) => {
      const batches = createBatches(list, { batchSize, seed });
      const epochs = 3;
      // Every bucket with anything in it has given its last draw of epoch 2 after at most this many more draws.
      const count = Math.ceil((epochs + batchSize) * batches.drawsPerEpoch / batchSize) + 4;
      const draws = take(count, batches).flatMap(({ entries }) => entries);
      for (let epoch = 0; epoch < epochs; epoch++) {
        const own = draws.filter((draw) => draw.epoch === epoch && !draw.regularization);
        const counts = tally(own, ({ item }) => item);
        list.forEach(({ repeats, regularization }, item) => {
          if (!regularization) expect(counts.get(item), `epoch ${epoch} item ${item}`).toBe(repeats);
        });
      }
      // No use of a picture comes twice.
      expect(new Set(draws.map(({ item, occurrence }) => `${item}/${occurrence}`)).size).toBe(draws.length);
    }), { numRuns: 60 });
  });

  it('are the same in any order of asking, in a new process, from any step on', () => {
    fc.assert(fc.property(sources, batchSizes, fc.nat(1000), fc.array(fc.nat(400), { minLength: 1, maxLength: 8 }),
      (list, batchSize, seed, steps) => {
        const sequential = take(401, createBatches(list, { batchSize, seed }));
        const jumping = createBatches(list, { batchSize, seed });
        for (const step of steps) {
          expect(jumping.at(step)).toEqual(sequential[step]);
          expect(createBatches(list, { batchSize, seed }).at(step)).toEqual(sequential[step]);
        }
      }), { numRuns: 40 });
  });

  it('equal the plain process: one list of draws, one queue per bucket', () => {
    fc.assert(fc.property(sources, batchSizes, fc.nat(1000), (list, batchSize, seed) => {
      // With batches of one the endless list itself comes out.
      const stream = take(300, createBatches(list, { batchSize: 1, seed })).map(({ entries }) => entries[0]!);
      const queues = new Map<number, Draw[]>();
      const expected: Draw[][] = [];
      for (const draw of stream) {
        const { bucket } = list[draw.item]!;
        const queue = [...queues.get(bucket) ?? [], draw];
        queues.set(bucket, queue.length === batchSize ? [] : queue);
        if (queue.length === batchSize) expected.push(queue);
      }
      const got = take(expected.length, createBatches(list, { batchSize, seed }));
      expect(got.map(({ entries }) => entries)).toEqual(expected);
    }), { numRuns: 60 });
  });

  it('balance regularization pictures one to one, and use all of them', () => {
    const list = [source(0, 3), source(0, 2), ...Array.from({ length: 8 }, () => source(0, 1, 1, true))];
    const batches = createBatches(list, { batchSize: 2, seed: 5 });
    expect(batches.drawsPerEpoch).toBe(10);
    const all = take(40, batches);
    for (const { entries } of all) expect(entries.filter(({ regularization }) => regularization).length).toBe(1);
    const prior = all.flatMap(({ entries }) => entries).filter(({ regularization }) => regularization);
    // 40 draws of 8 pictures: five each.
    expect([...tally(prior, ({ item }) => item).values()]).toEqual(Array.from({ length: 8 }, () => 5));
  });

  it('use the variants of a picture equally often', () => {
    const list = [source(0, 1, 2), source(0, 3, 3)];
    const draws = take(60, createBatches(list, { batchSize: 1, seed: 3 })).flatMap(({ entries }) => entries);
    const counts = tally(draws, ({ item, variant }) => `${item}/${variant}`);
    // 15 epochs of 4 draws: picture 0 comes 15 times (odd), picture 1 45 times.
    expect(counts.get('0/0')! + counts.get('0/1')!).toBe(15);
    expect(Math.abs(counts.get('0/0')! - counts.get('0/1')!)).toBe(1);
    expect([0, 1, 2].map((variant) => counts.get(`1/${variant}`))).toEqual([15, 15, 15]);
  });

  it('come in another order in each epoch and with each seed', () => {
    const list = Array.from({ length: 50 }, () => source(0));
    const orderOf = (seed: number, first: number): number[] =>
      take(50, createBatches(list, { batchSize: 1, seed }), first).map(({ entries }) => entries[0]!.item);
    expect(orderOf(1, 0)).toEqual(orderOf(1, 0));
    expect(orderOf(1, 0)).not.toEqual(orderOf(2, 0));
    expect(orderOf(1, 0)).not.toEqual(orderOf(1, 50));
    expect(orderOf(1, 0)).not.toEqual(Array.from({ length: 50 }, (_, index) => index));
    expect(orderOf(1, 50).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, index) => index));
  });

  it('are found far ahead', () => {
    const list = [source(0, 3), source(1), source(2, 2), source(0, 1, 1, true), source(1, 5, 1, true)];
    const far = createBatches(list, { batchSize: 4, seed: 9 }).at(1_000_000);
    expect(far.entries.length).toBe(4);
    expect(far.entries.every(({ epoch }) => Math.abs(epoch - 4_000_000 / 12) < 10)).toBe(true);
  });

  it('need a picture to train on', () => {
    refusal('dataset.nothing-to-train', () => createBatches([source(0, 1, 1, true)], { batchSize: 1, seed: 0 }));
  });
});
