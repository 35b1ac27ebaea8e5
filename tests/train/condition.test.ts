import { describe, expect, test } from 'vitest';
import { detectModel } from '../../src-main/catalog/families/index.ts';
import { conditionFeeds, joinChunks, leastCommonMultiple, tokenFeeds, type Encoded } from '../../src-main/train/condition.ts';
import { openModel } from '../../src-main/train/open-model.ts';
import { eventsOf, jobAt, train, usePlace } from './run.ts';

const place = usePlace();

const encoded = (rows: number, first: number): Encoded => ({
  context: Float32Array.from({ length: rows * 2 }, (_, i) => first + i), contextShape: [rows, 2], pooled: Float32Array.of(first),
});

describe('prompts of different length', () => {
  test('are all repeated to the least length that fits each', () => {
    const { feeds, tokens } = conditionFeeds([encoded(2, 0), encoded(3, 100)]);
    expect(tokens).toBe(6);
    const { shape, data } = feeds.get('context')!;
    expect(shape).toEqual([2, 6, 2]);
    expect([...(data as Float32Array)]).toEqual([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 100, 101, 102, 103, 104, 105, 100, 101, 102, 103, 104, 105]);
    expect([...(feeds.get('pooled')!.data as Float32Array)]).toEqual([0, 100]);
  });

  test('keep their tokens together, row by row', () => {
    const model = detectModel(openModel(place.model).files);
    const { component, length } = model.textEncoders[0]!;
    const chunk = (id: number) => ({ ids: new Array<number>(length).fill(id), end: id });
    const { feeds, chunks } = tokenFeeds(model, [new Map([[component, [chunk(1)]]]), new Map([[component, [chunk(2), chunk(3)]]])]);
    expect(chunks).toBe(2);
    expect(feeds.get(`ids.${component}`)!.shape).toEqual([4, length]);
    expect([...(feeds.get(`end.${component}`)!.data as BigInt64Array)]).toEqual([1n, 1n, 2n, 3n]);
  });

  test('the pooled vector of a prompt is that of its first chunk', () => {
    const joined = joinChunks([encoded(2, 0), encoded(2, 10)]);
    expect(joined).toMatchObject({ contextShape: [4, 2] });
    expect([...joined.context]).toEqual([0, 1, 2, 3, 10, 11, 12, 13]);
    expect([...joined.pooled!]).toEqual([0]);
  });

  test.each([[1, 3, 3], [2, 3, 6], [77, 154, 154], [4, 4, 4]])('least common multiple of %i and %i', (a, b, both) => expect(leastCommonMultiple(a, b)).toBe(both));
});

describe('long captions', () => {
  const long = 'red '.repeat(80);
  const jobOf = (maxTokens: number | 'auto') => jobAt(place, {
    data: { folders: [{ path: place.pictures }], caption: { prefix: long, maxTokens } },
    train: { steps: 1, batch: 2 },
  });

  test('are used up to three pieces, and cut with a warning where less is wanted', async () => {
    const whole = await train(place, jobOf('auto'));
    expect(eventsOf(whole.events, 'warning').map(({ code }) => code)).not.toContain('caption.cut');
    const cut = await train(place, jobOf(20));
    const warning = eventsOf(cut.events, 'warning').find(({ code }) => code === 'caption.cut');
    expect(warning).toMatchObject({ text: expect.stringContaining('20 tokens') as string });
    const lossOf = ({ events }: typeof whole): number | null => eventsOf(events, 'step')[0]!.loss;
    expect(lossOf(cut)).not.toBe(lossOf(whole));
  });
});
