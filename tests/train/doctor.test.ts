import { afterEach, describe, expect, test, vi } from 'vitest';
import type { TrainEventBody } from '../../src-main/contract/events.ts';
import type * as SingleStep from '../../src-main/train/single-step.ts';
import { doctorCommand } from '../../src-main/train/doctor.ts';

interface Report {
  readonly system: Record<string, string>;
  readonly devices: readonly { name: string; ok: boolean; comparisons: readonly { dtype: string; gradient: number; prediction: number; ok: boolean }[] }[];
}

const examine = (events: TrainEventBody[] = []) => doctorCommand({ device: 'cpu' }, { onEvent: (event) => void events.push(event) }, 'no-entry');

afterEach(() => {
  vi.doUnmock('../../src-main/train/single-step.ts');
  vi.resetModules();
});

describe('the CPU', () => {
  test('is compared with exact arithmetic, in both element types', async () => {
    const events: TrainEventBody[] = [];
    const { text, data, ok } = await examine(events);
    const { system, devices } = data as Report;
    expect(ok).toBe(true);
    expect(devices.map(({ name }) => name)).toEqual(['cpu']);
    expect(devices[0]!.comparisons.map(({ dtype }) => dtype)).toEqual(['f32', 'f16']);
    const [full, half] = devices[0]!.comparisons;
    expect(full!.gradient).toBeLessThan(1e-4);
    expect(half!.gradient).toBeGreaterThan(full!.gradient);
    expect(Object.keys(system)).toEqual(['system', 'processor', 'memory', 'memory of GPUs', 'ONNX Runtime', 'sharp']);
    expect(text).toMatch(/cpu: computes right/);
    expect(events).toContainEqual(expect.objectContaining({ kind: 'phase', name: 'examine', about: 'cpu' }));
  });

  test('one that computes wrongly ends in a bad verdict', async () => {
    vi.resetModules();
    vi.doMock('../../src-main/train/single-step.ts', async (original) => {
      const real = await original<typeof SingleStep>();
      return {
        ...real,
        runSingleStep: async (...args: Parameters<typeof real.runSingleStep>) => {
          const results = await real.runSingleStep(...args);
          const name = [...results.keys()].at(-1)!;
          return results.set(name, results.get(name)!.map((value) => -value));
        },
      };
    });
    const broken = await import('../../src-main/train/doctor.ts');
    const { text, ok } = await broken.doctorCommand({ device: 'cpu' }, { onEvent: () => {} }, 'no-entry');
    expect(ok).toBe(false);
    expect(text).toMatch(/COMPUTES WRONG/);
  });
});
