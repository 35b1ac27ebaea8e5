import { describe, expect, it } from 'vitest';
import { mapAhead, mapLimit, serialQueue } from '../../src-main/base/async.ts';

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await Promise.resolve();
};

describe('mapLimit', () => {
  it('keeps the order and never runs more than the limit', async () => {
    let running = 0;
    let most = 0;
    const results = await mapLimit([9, 1, 5, 30, 2, 0, 7], 3, async (count, index) => {
      most = Math.max(most, ++running);
      await turns(count);
      running--;
      return `${index}:${count}`;
    });
    expect(results).toEqual(['0:9', '1:1', '2:5', '3:30', '4:2', '5:0', '6:7']);
    expect(most).toBe(3);
  });

  it('throws the first failure by order and starts nothing more', async () => {
    const started: number[] = [];
    await expect(mapLimit([0, 1, 2, 3, 4, 5], 2, async (item) => {
      started.push(item);
      await turns(item === 1 ? 1 : 10);
      if (item >= 1) throw new Error(`item ${item}`);
      return item;
    })).rejects.toThrow('item 1');
    expect(started).toEqual([0, 1, 2]);
  });

  it('takes synchronous work, empty lists and generators', async () => {
    expect(await mapLimit([], 4, () => 1)).toEqual([]);
    expect(await mapLimit((function* () { yield 1; yield 2; })(), 4, (item) => item * 2)).toEqual([2, 4]);
    await expect(mapLimit([1], 4, () => { throw new Error('at once'); })).rejects.toThrow('at once');
  });
});

describe('mapAhead', () => {
  it('stops when the reader leaves, after waiting for what runs', async () => {
    let finished = 0;
    let started = 0;
    let closed = false;
    const source = (function* () {
      try {
        for (let item = 0; ; item++) yield item;
      } finally {
        closed = true;
      }
    })();
    for await (const item of mapAhead(source, 3, async (value) => {
      started++;
      await turns(20);
      finished++;
      return value;
    })) {
      if (item === 2) break;
    }
    expect(finished).toBe(started);
    expect(started).toBeLessThanOrEqual(6);
    expect(closed).toBe(true);
  });
});

describe('serialQueue', () => {
  it('runs one at a time, in order, past failures', async () => {
    const run = serialQueue();
    const log: string[] = [];
    const task = (name: string, fail = false) => run(async () => {
      log.push(`${name} begins`);
      await turns(5);
      log.push(`${name} ends`);
      if (fail) throw new Error(name);
      return name;
    });
    const results = await Promise.allSettled([task('a'), task('b', true), task('c')]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  });
});
