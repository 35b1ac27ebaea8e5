// Whole runs of the tiny model: what they leave behind, and what may happen to them.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readEvents } from '../../src-main/train/run-folder.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import type { Program, Runtime } from '../../src-main/runtime/runtime.ts';
import { temporaryFolder } from '../files/temporary.ts';
import { eventsOf, filesOf, jobAt, train, usePlace, type Ran } from './run.ts';

const place = usePlace();
const lora = { kind: 'lora', targets: 'attention', rank: 2, alpha: 2 } as const;
const lossesOf = ({ events }: Ran) => eventsOf(events, 'step').map(({ loss }) => loss);

describe('the same job', () => {
  const job = jobAt(place, { preview: { every: 4, steps: 2, prompts: ['red stripes'] } });

  test('gives the same bytes twice; another seed gives others', async () => {
    const [first, second] = [await train(place, job), await train(place, job)];
    const files = filesOf(first.folder);
    expect(Object.keys(files)).toEqual([
      'checkpoints/step-000004.safetensors', 'checkpoints/step-000006.safetensors',
      'exports/tiny-kohya.exported.png', 'exports/tiny-kohya.json', 'exports/tiny-kohya.safetensors', 'exports/tiny-kohya.safetensors.proof.json', 'exports/tiny-kohya.trained.png',
      'exports/tiny-kohya.workflow.json',
      'samples/step-000000-0.png', 'samples/step-000004-0.png', 'samples/step-000006-0.png',
    ]);
    expect(filesOf(second.folder)).toEqual(files);
    const other = filesOf((await train(place, { ...job, train: { ...job.train, seed: 4 } })).folder);
    expect(Object.keys(other)).toEqual(Object.keys(files));
    // Adapters change nothing at the start, so the picture before the first step is the same.
    const same = Object.keys(files).filter((name) => other[name] === files[name]);
    expect(same).toEqual(['exports/tiny-kohya.json', 'exports/tiny-kohya.workflow.json', 'samples/step-000000-0.png']);

    // What happened stands in a log that can be read again.
    const { folder, events } = first;
    expect(readEvents(folder)).toEqual(events.filter(({ kind }) => kind !== 'phase'));
    expect(events.find(({ kind }) => kind === 'started')).toMatchObject({ fromStep: 0, device: 'cpu', dtype: 'f32', job: { images: 6, steps: 6, seed: 3, adapter: 'dora' } });
    expect(events.at(-1)).toMatchObject({ kind: 'finished', step: 6, files: [join(folder, 'exports', 'tiny-kohya.safetensors')] });
    expect(eventsOf(events, 'finished')[0]!.seconds).toBeGreaterThan(0);
  });
});

/** A runtime that counts its programs. */
function countingRuntime(): { runtime: Runtime; living: () => number } {
  const inner = createOnnxRuntime({ device: 'cpu', threads: 1 });
  const alive = new Set<Program>();
  const compile: Runtime['compile'] = async (graph, options) => {
    const program = await inner.compile(graph, options);
    const counted: Program = {
      run: (feeds) => program.run(feeds),
      get timing() { return program.timing; },
      dispose: async () => {
        expect(alive.delete(counted), `${options.name} is disposed of once`).toBe(true);
        await program.dispose();
      },
    };
    alive.add(counted);
    return counted;
  };
  return { runtime: { device: 'cpu', upload: (tensor) => inner.upload(tensor), compile }, living: () => alive.size };
}

describe('pausing', () => {
  test('gives the device back and goes on to the same bytes', async () => {
    const job = jobAt(place, { adapter: lora, preview: { every: 3, steps: 1 } });
    const { runtime, living } = countingRuntime();
    let wantsPause = false;
    let pauses = 0;
    const paused = await train(place, job, {
      chosen: { runtime, compute: 'f32', scalesLoss: false },
      onEvent: (event) => {
        if (event.kind !== 'step' || (event.step !== 1 && event.step !== 5)) return;
        expect(living()).toBeGreaterThan(1);
        wantsPause = true;
      },
      control: {
        shouldStop: () => false,
        shouldPause: () => wantsPause,
        waitWhilePaused: async () => {
          expect(living()).toBe(0);
          wantsPause = false;
          pauses++;
        },
      },
    });
    expect(pauses).toBe(2);
    expect(living()).toBe(0);
    expect(eventsOf(paused.events, 'paused').map(({ step }) => step)).toEqual([1, 5]);
    expect(eventsOf(paused.events, 'resumed').map(({ step }) => step)).toEqual([1, 5]);
    const whole = await train(place, job);
    expect(lossesOf(paused)).toEqual(lossesOf(whole));
    const end = (ran: Ran) => Object.entries(filesOf(ran.folder)).filter(([name]) => !name.includes('00000') || name.includes('000006'));
    expect(end(paused)).toEqual(end(whole));
  });

  test('ends when the run is stopped meanwhile', async () => {
    let isStopped = false;
    const { end, events } = await train(place, jobAt(place, { adapter: lora }), {
      control: { shouldStop: () => isStopped, shouldPause: () => true, waitWhilePaused: async () => { isStopped = true; } },
    });
    expect([end, events.at(-1)!.kind]).toEqual(['interrupted', 'interrupted']);
  });
});

describe('a run that is stopped in preparations', () => {
  test('ends at once, and can be resumed', async () => {
    const job = jobAt(place, { adapter: lora, train: { steps: 2 } });
    let asks = 0;
    let encoded = 0;
    const first = await train(place, job, {
      cacheFolder: temporaryFolder(),
      control: { shouldStop: () => asks > 0 },
      onEvent: (event) => {
        if (event.kind !== 'phase' || event.name !== 'encode pictures') return;
        encoded = event.done;
        asks++;
        // Lets the timer that looks for requests have its turn.
        const until = Date.now() + 150;
        while (Date.now() < until);
      },
    });
    expect([first.end, first.events.at(-1)]).toMatchObject(['interrupted', { kind: 'interrupted', step: 0, path: first.folder }]);
    expect(encoded).toBeLessThan(6);
    expect(eventsOf(first.events, 'started')).toEqual([]);
    const second = await train(place, job, { runFolder: first.folder, resume: true });
    expect(second.end).toBe('finished');
  });
});

describe('a preview that fails', () => {
  test('is a warning; training goes on', async () => {
    const job = jobAt(place, { adapter: lora, preview: { every: 1, steps: 1 }, train: { steps: 2 } });
    const folder = join(place.folder, 'no-samples');
    const { end, events } = await train(place, job, {
      runFolder: folder,
      onEvent: ({ kind }) => {
        // A folder where the picture of step 1 should be written.
        if (kind === 'started') mkdirSync(join(folder, 'samples', 'step-000001-0.png', 'in-the-way'), { recursive: true });
      },
    });
    expect(end).toBe('finished');
    expect(eventsOf(events, 'warning').filter(({ code }) => code === 'preview.failed').map(({ text }) => text)).toEqual([expect.stringMatching(/step 1 failed; training goes on: .*step-000001-0\.png/)]);
    expect(eventsOf(events, 'sample').map(({ step }) => step)).toEqual([0, 2]);
  });
});
