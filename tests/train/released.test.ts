// What encodes pictures and texts gives its memory back before training begins, and everything does at the end.
import { expect, test } from 'vitest';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import type { Runtime } from '../../src-main/runtime/runtime.ts';
import { jobAt, train, usePlace } from './run.ts';

const place = usePlace();

/** A runtime that knows which of its programs are open. */
function watched(): { readonly runtime: Runtime; readonly open: Map<number, string>; readonly seen: { readonly name: string; readonly beside: readonly string[] }[] } {
  const inner = createOnnxRuntime({ device: 'cpu', threads: 1 });
  const open = new Map<number, string>();
  const seen: { name: string; beside: string[] }[] = [];
  let count = 0;
  const runtime: Runtime = {
    device: inner.device,
    upload: (tensor) => inner.upload(tensor),
    compile: async (graph, options) => {
      const own = count++;
      seen.push({ name: options.name, beside: [...open.values()] });
      open.set(own, options.name);
      const program = await inner.compile(graph, options);
      return {
        get timing() {
          return program.timing;
        },
        run: (feeds) => program.run(feeds),
        dispose: async () => {
          open.delete(own);
          await program.dispose();
        },
      };
    },
  };
  return { runtime, open, seen };
}

const isEncoder = (name: string): boolean => /^(encode|decode|text)/.test(name);

test.each([false, true])('encoders are gone when training and previews compute (captions shuffled: %s)', async (shuffle) => {
  const { runtime, open, seen } = watched();
  const job = jobAt(place, {
    data: { folders: [{ path: place.pictures }], caption: { shuffle, prefix: shuffle ? 'shuffled' : 'plain' } },
    preview: { every: 3, prompts: ['red stripes'], steps: 1, guidance: 2 },
  });
  await train(place, job, { chosen: { runtime, compute: 'f32', scalesLoss: false } });
  const names = seen.map(({ name }) => name);
  expect(names.some((name) => name.startsWith('text'))).toBe(true);
  expect(names.filter((name) => name.startsWith('decode')).length).toBeGreaterThan(1);
  const firstStep = seen.find(({ name }) => /^(train|measure)/.test(name))!;
  expect(firstStep.beside.filter(isEncoder)).toEqual([]);
  for (const { beside } of seen.filter(({ name }) => name.startsWith('denoise') && !shuffle)) expect(beside.filter(isEncoder)).toEqual([]);
  expect([...open.values()]).toEqual([]);
});

test('the autoencoder is gone when captions are encoded', async () => {
  const { runtime, seen } = watched();
  const data = { folders: [{ path: place.pictures }], caption: { prefix: 'new words' }, resolution: 8 as const };
  await train(place, jobAt(place, { data, train: { steps: 1 } }), { chosen: { runtime, compute: 'f32', scalesLoss: false } });
  expect(seen.some(({ name }) => name.startsWith('encode'))).toBe(true);
  expect(seen.find(({ name }) => name.startsWith('text'))!.beside.filter(isEncoder)).toEqual([]);
});
