// Ten steps of every optimizer against PyTorch, through the graph that training runs, on the oracle and on ONNX Runtime.
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { sizeOf, type Shape } from '../../src-main/base/shape.ts';
import type { Optimizer } from '../../src-main/catalog/define/optimizer.ts';
import { optimizers } from '../../src-main/catalog/optimizers/index.ts';
import { defaultSettings, parseSettings, type SettingValue } from '../../src-main/contract/fields.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { evaluate } from '../../src-main/graph/evaluate.ts';
import type { Graph } from '../../src-main/graph/types.ts';
import { verify } from '../../src-main/graph/verify.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { f32, type DeviceTensor, type HostTensor } from '../../src-main/runtime/runtime.ts';
import { OptimizerState } from '../../src-main/train/optimizer-state.ts';
import { packsApart, packsTogether } from '../../src-main/train/packs.ts';
import { averageName, sharedName, stateName, updateGraph, type UpdateSettings } from '../../src-main/train/update-graph.ts';
import { goldenPath, readGolden } from '../nn/golden.ts';
import { relativeError, runOn } from '../ops/run-graph.ts';

type Settings = Readonly<Record<string, SettingValue>>;
type Values = Map<string, ArrayLike<number>>;
type Runner = (graph: Graph, feeds: Values) => Promise<Values> | Values;

const all = optimizers as unknown as Readonly<Record<string, Optimizer>>;
const shapes: readonly Shape[] = [[5, 7], [3], [2, 3, 3, 3]];
const tensors = shapes.map((shape, i) => ({ name: `p${i}`, shape }));
const STEPS = 10;

const onOracle: Runner = (graph, feeds) => new Map([...evaluate(graph, feeds)].map(([name, { data }]) => [name, data]));
const cpu = createOnnxRuntime({ device: 'cpu', threads: 1 });
const onOnnx: Runner = (graph, feeds) => runOn(cpu, graph, feeds);

function startValues(optimizer: Optimizer, settings: Settings, init: (i: number) => ArrayLike<number>): Values {
  const values: Values = new Map();
  tensors.forEach(({ name, shape }, i) => {
    values.set(name, init(i));
    for (const [key, stateShape] of Object.entries(optimizer.state(shape, settings as never))) {
      const rule = optimizer.initial?.(key, settings as never) ?? 0;
      values.set(stateName(key, name), rule === 'parameter' ? init(i) : new Float64Array(sizeOf(stateShape)).fill(rule));
    }
  });
  for (const [key, value] of Object.entries(optimizer.shared?.(settings as never) ?? {})) values.set(sharedName(key), [value]);
  return values;
}

/** Values after each step. */
async function train(id: string, settings: Settings, run: Runner, rates: readonly number[], init: (i: number) => ArrayLike<number>, gradient: (step: number, i: number) => ArrayLike<number>): Promise<Values[]> {
  const optimizer = all[id]!;
  const graph = verify(updateGraph(packsApart(tensors), { optimizer, settings, clip: 0, ema: 0 }));
  let values = startValues(optimizer, settings, init);
  const course: Values[] = [];
  for (const [step, rate] of rates.entries()) {
    const scalars = { ...optimizer.scalars(step + 1, rate, settings as never), gradient_factor: 1 };
    const feeds = new Map([
      ...values, ...tensors.map(({ name }, i) => [`grad.${name}`, gradient(step, i)] as const),
      ...Object.entries(scalars).map(([name, value]) => [name, [value]] as const),
    ]);
    values = new Map([...values, ...await run(graph, feeds)]);
    course.push(values);
  }
  return course;
}

/** Arguments of the recorded optimizers -> settings. */
const renamed: Readonly<Record<string, string>> = {
  eps: 'eps', weight_decay: 'weightDecay', decouple: 'decouple', use_bias_correction: 'biasCorrection', safeguard_warmup: 'safeguardWarmup',
  d0: 'startDistance', d_coef: 'distanceFactor', growth_rate: 'growthLimit', scale_parameter: 'scaleParameter', relative_step: 'relativeStep',
  warmup_init: 'relativeWarmup', beta1: 'beta1',
};
/** Defaults of the recorded optimizers that are not ours. */
const theirs: Readonly<Record<string, Settings>> = {
  prodigy: { weightDecay: 0, biasCorrection: false, safeguardWarmup: false }, adafactor: { weightDecay: 0 }, adamw: {}, lion: {},
};

function settingsOf(id: string, config: Readonly<Record<string, unknown>>): Settings {
  const raw: Record<string, unknown> = { ...theirs[id] };
  for (const [key, value] of Object.entries(config)) {
    if (key === 'lr') continue;
    if (key === 'betas') [raw['beta1'], raw['beta2']] = value as [number, number];
    else raw[renamed[key] ?? `unknown argument ${key}`] = value;
  }
  const { settings, issues } = parseSettings(all[id]!.fields, raw, id);
  expect(issues).toEqual([]);
  return settings;
}

test('the list of optimizers and the folder agree', () => {
  const files = readdirSync('src-main/catalog/optimizers').filter((name) => name !== 'index.ts').map((name) => name.slice(0, -3));
  expect(Object.keys(optimizers).sort()).toEqual(files.sort());
});

const variants = readdirSync(goldenPath('optimizers')).filter((name) => name !== 'inputs.safetensors').map((name) => name.replace('.safetensors', ''));

test('every optimizer has a recorded course', () => {
  expect([...new Set(variants.map((variant) => variant.split('_')[0]!))].sort()).toEqual(Object.keys(optimizers).sort());
});

describe.each(variants)('%s', (variant) => {
  const id = variant.split('_')[0]!;
  const inputs = readGolden('optimizers', 'inputs.safetensors');
  const golden = readGolden('optimizers', `${variant}.safetensors`);
  const { metadata } = openSafetensors(goldenPath('optimizers', `${variant}.safetensors`));
  const settings = settingsOf(id, JSON.parse(metadata.get('config')!) as Record<string, unknown>);

  test.each([['oracle', onOracle], ['ONNX Runtime', onOnnx]] as const)('ten steps on %s', async (_, run) => {
    // A relative step ignores the rate: any will do.
    const rates = Array.from({ length: STEPS }, (_unused, step) => (golden.has(`lr.${step}`) ? golden.data(`lr.${step}`)[0]! : 123));
    const course = await train(id, settings, run, rates, (i) => inputs.data(`init.${i}`), (step, i) => inputs.data(`grad.${step}.${i}`));
    const tolerance = run === onOracle && golden.has('d.0') ? 1e-3 : 2e-5;
    course.forEach((values, step) => {
      tensors.forEach(({ name }, i) => {
        const start = inputs.data(`init.${i}`);
        // What counts is the way from the start, which is much shorter than the values.
        const way = (data: ArrayLike<number>): Float64Array => start.map((value, at) => data[at]! - value);
        const expected = way(golden.data(`param.${step}.${i}`));
        const longest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        // Both sides hold f32 values of size about 1: that is the error of a difference. Where the first steps are 1e-6
        // long Prodigy's estimate carries 5e-4 of it along, the same as recorded in f32, another in f64.
        const error = way(values.get(name)!).reduce((most, value, at) => Math.max(most, Math.abs(value - expected[at]!)), 0);
        expect(error, `${name} after step ${step}`).toBeLessThan(tolerance * longest + 3e-7);
      });
      if (!golden.has(`d.${step}`)) return;
      const expected = golden.data(`d.${step}`)[0]!;
      expect(Math.abs(values.get(sharedName('distance'))![0]! / expected - 1), `d after step ${step}`).toBeLessThan(run === onOracle ? tolerance : 2e-6);
    });
  });
});

/** Values of `OptimizerState`, as the trainer keeps them. */
const stateOf = (optimizer: Optimizer, settings: Settings, init: (i: number) => ArrayLike<number>, more: Partial<UpdateSettings> = {}, accumulates = false, saved?: ReadonlyMap<string, HostTensor>): Promise<OptimizerState> =>
  OptimizerState.create(
    cpu, tensors.map(({ name, shape }, i) => ({ name, shape, initial: () => Float32Array.from(init(i)) })),
    { optimizer, settings, clip: 0, ema: 0, ...more }, accumulates, saved,
  );
const gradientsOf = (gradient: (i: number) => ArrayLike<number>): Map<string, DeviceTensor> =>
  new Map(tensors.map(({ name, shape }, i) => [`grad.${name}`, cpu.upload(f32(Float32Array.from(gradient(i)), shape))]));
const readAll = async (state: OptimizerState): Promise<Map<string, Float32Array>> =>
  new Map([...await state.snapshot()].map(([name, { data }]) => [name, data as Float32Array]));

describe.each(variants)('%s against the exact course', (variant) => {
  const id = variant.split('_')[0]!;
  const inputs = readGolden('optimizers', 'inputs.safetensors');
  const golden = readGolden('optimizers', `${variant}.safetensors`);
  const { metadata } = openSafetensors(goldenPath('optimizers', `${variant}.safetensors`));
  const settings = settingsOf(id, JSON.parse(metadata.get('config')!) as Record<string, unknown>);
  const rate = (step: number): number => (golden.has(`lr.${step}`) ? golden.data(`lr.${step}`)[0]! : 123);
  const init = (i: number): Float64Array => inputs.data(`init.${i}`);
  const gap = Number(metadata.get('f32_from_f64'));
  const worst = (values: ReadonlyMap<string, ArrayLike<number>>, step: number): number => Math.max(...tensors.flatMap(({ name }, i) =>
    Array.from(golden.data(`param.${step}.${i}`), (value, at) => Math.abs(values.get(name)![at]! - value))));

  // The recorded gap between f32 and f64 is what the oracle must show, plus the rounding of the file.
  test('the oracle is as far from the recording as PyTorch in f64 is', async () => {
    const course = await train(id, settings, onOracle, Array.from({ length: STEPS }, (_, step) => rate(step)), init, (step, i) => inputs.data(`grad.${step}.${i}`));
    course.forEach((values, step) => expect(worst(values, step), `step ${step}`).toBeLessThan(1.05 * gap + 1.2e-7));
  });

  // Rounding of ten additions to values of size 2, in another order than PyTorch's.
  test('the trained state on ONNX Runtime', async () => {
    const state = await stateOf(all[id]!, settings, init);
    for (let step = 0; step < STEPS; step++) {
      const result = await state.apply(gradientsOf((i) => inputs.data(`grad.${step}.${i}`)), 1, step + 1, rate(step));
      expect(result.skipped).toBe(false);
      expect(worst(await readAll(state), step), `step ${step}`).toBeLessThan(gap + 6e-7);
    }
    await state.dispose();
  });
});

describe.each(Object.keys(all))('%s', (id) => {
  const numbers = (seed: number, size: number): Float64Array => Float64Array.from({ length: size }, (_, i) => Math.sin(seed * 12.9898 + i * 7.233));
  const settings = defaultSettings(all[id]!.fields);
  const init = (i: number): Float64Array => (i === 1 ? new Float64Array(3) : numbers(i + 1, sizeOf(shapes[i]!)));
  const gradient = (step: number, i: number): Float64Array => numbers(step * 3 + i + 20, sizeOf(shapes[i]!)).map((value) => value + 0.5);

  test('state shapes are what the update gives back', () => {
    const optimizer = all[id]!;
    const { outputs } = updateGraph(packsApart(tensors), { optimizer, settings, clip: 0, ema: 0 });
    tensors.forEach(({ name, shape }) => {
      expect(outputs.get(name)!.shape).toEqual(shape);
      for (const [key, stateShape] of Object.entries(optimizer.state(shape, settings as never))) {
        const output = outputs.get(stateName(key, name));
        if (output) expect(output.shape, key).toEqual(stateShape);
      }
    });
  });

  test('a zero gradient, and a tensor of zeros, keep everything finite', async () => {
    const course = await train(id, { ...settings, weightDecay: 0 }, onOnnx, [0.01, 0.01, 0.01], init, (_step, i) => new Float64Array(sizeOf(shapes[i]!)));
    for (const [name, data] of course.at(-1)!) expect(Array.from(data).every(Number.isFinite), name).toBe(true);
    tensors.forEach(({ name }, i) => expect(relativeError(course.at(-1)!.get(name)!, init(i)), name).toBeLessThan(1e-6));
  });

  test('a step at rate 0, the first one of a warm-up, moves nothing and spoils nothing', async () => {
    const still = await train(id, settings, onOnnx, [0], init, gradient);
    tensors.forEach(({ name }, i) => expect(still[0]!.get(name)).toEqual(Float32Array.from(init(i))));
    // Prodigy's averages stand still as well: its estimate counts on steps that are taken.
    if (id === 'prodigy') for (const [name, data] of startValues(all[id]!, settings, init)) expect(Float32Array.from(still[0]!.get(name)!), name).toEqual(Float32Array.from(data));
    const course = await train(id, settings, onOnnx, [0, 0.01, 0.01], init, gradient);
    for (const [name, data] of course.at(-1)!) expect(Array.from(data).every(Number.isFinite), name).toBe(true);
    for (const { name } of tensors) expect(course.at(-1)!.get(name), name).not.toEqual(course[0]!.get(name));
  });

  test('stopping and going on from the saved values gives the same', async () => {
    const rates = [0.01, 0.02, 0.01, 0.005];
    const whole = await train(id, settings, onOnnx, rates, init, gradient);
    const optimizer = all[id]!;
    const graph = updateGraph(packsApart(tensors), { optimizer, settings, clip: 0, ema: 0 });
    let values: Values = new Map([...whole[1]!].map(([name, data]) => [name, Float32Array.from(data)]));
    for (const step of [2, 3]) {
      const scalars = { ...optimizer.scalars(step + 1, rates[step]!, settings as never), gradient_factor: 1 };
      const feeds = new Map([...values, ...tensors.map(({ name }, i) => [`grad.${name}`, gradient(step, i)] as const), ...Object.entries(scalars).map(([name, value]) => [name, [value]] as const)]);
      values = new Map([...values, ...await onOnnx(graph, feeds)]);
    }
    for (const [name, data] of whole.at(-1)!) expect(Float32Array.from(values.get(name)!), name).toEqual(Float32Array.from(data));
  });

  test('a snapshot goes on bit for bit', async () => {
    const whole = await stateOf(all[id]!, settings, init, { ema: 0.9 });
    for (const step of [0, 1]) await whole.apply(gradientsOf((i) => gradient(step, i)), 1, step + 1, 0.01);
    const resumed = await stateOf(all[id]!, settings, (i) => new Float64Array(sizeOf(shapes[i]!)), { ema: 0.9 }, false, await whole.snapshot());
    expect(await readAll(resumed)).toEqual(await readAll(whole));
    for (const state of [whole, resumed]) await state.apply(gradientsOf((i) => gradient(2, i)), 1, 3, 0.01);
    expect(await readAll(resumed)).toEqual(await readAll(whole));
    await Promise.all([whole.dispose(), resumed.dispose()]);
  });

  test('a gradient that is not finite changes nothing', async () => {
    for (const bad of [NaN, Infinity]) {
      const state = await stateOf(all[id]!, settings, init, { clip: 1, ema: 0.9 });
      await state.apply(gradientsOf((i) => gradient(0, i)), 1, 1, 0.01);
      const before = await readAll(state);
      const result = await state.apply(gradientsOf((i) => gradient(1, i).map((value, at) => (i === 2 && at === 7 ? bad : value))), 1, 2, 0.01);
      expect(result.skipped).toBe(true);
      expect(result.gradientNorm).not.toSatisfy(Number.isFinite);
      expect(await readAll(state)).toEqual(before);
      const next = await state.apply(gradientsOf((i) => gradient(1, i)), 1, 3, 0.01);
      expect(next.skipped).toBe(false);
      expect(await readAll(state)).not.toEqual(before);
      await state.dispose();
    }
  });

  test('falls on a quadratic', async () => {
    // 0.5 · curvature · (x − 1)², curvatures from 1 to 10, from points about 1 away.
    const curvature = (at: number): number => 1 + (at % 10);
    const rate = { adamw: 0.05, lion: 0.02, adafactor: 0.05, prodigy: 1 }[id]!;
    const state = await stateOf(all[id]!, { ...settings, ...(id === 'prodigy' ? { startDistance: 1e-3 } : {}) }, init);
    const loss = (values: ReadonlyMap<string, Float32Array>): number =>
      tensors.reduce((sum, { name }) => values.get(name)!.reduce((part, value, at) => part + 0.5 * curvature(at) * (value - 1) ** 2, sum), 0);
    const first = loss(await readAll(state));
    // Lion first runs past the point: it remembers a hundred gradients.
    for (let step = 1; step <= 400; step++) {
      const values = await readAll(state);
      await state.apply(gradientsOf((i) => Float32Array.from(values.get(tensors[i]!.name)!, (value, at) => curvature(at) * (value - 1))), 1, step, rate);
    }
    expect(loss(await readAll(state))).toBeLessThan(0.01 * first);
    await state.dispose();
  });
});

/** w − rate · gradient, with which clipping and scaling can be read off. */
const plain: Optimizer = {
  label: '', help: '', fields: {}, state: () => ({}), scalars: (_, rate) => ({ rate }), stride: () => ({ least: 0, most: 0, keep: 1 }),
  update: (g, slots, scalars, shared) => ({ slots: slots.map(({ parameter, gradient }) => ({ parameter: g.sub(parameter, g.mul(gradient, scalars['rate']!)), state: {} })), shared }),
};

describe('what every optimizer is given', () => {
  const zero = (i: number): Float64Array => new Float64Array(sizeOf(shapes[i]!));
  const wave = (seed: number) => (i: number): Float64Array => zero(i).map((_, at) => Math.sin(seed + i * 31 + at * 1.7));
  const flat = (values: ReadonlyMap<string, ArrayLike<number>>): number[] => tensors.flatMap(({ name }) => Array.from(values.get(name)!));
  const norm = (values: readonly number[]): number => Math.hypot(...values);
  const full = tensors.flatMap((_, i) => Array.from(wave(1)(i)));

  test.each([['above', 0.5], ['below', 100], ['off', 0]] as const)('clipping %s the norm', async (_, clip) => {
    const state = await stateOf(plain, {}, zero, { clip });
    // A loss scale of 8 is taken out before anything is measured.
    const { gradientNorm } = await state.apply(gradientsOf((i) => wave(1)(i).map((value) => value * 8)), 1 / 8, 1, 1);
    expect(gradientNorm / norm(full)).toBeCloseTo(1, 5);
    const seen = flat(await readAll(state)).map((value) => -value);
    const factor = clip === 0.5 ? clip / norm(full) : 1;
    expect(norm(seen)).toBeCloseTo(factor * norm(full), 5);
    seen.forEach((value, at) => expect(value).toBeCloseTo(full[at]! * factor, 5));
    await state.dispose();
  });

  test.each(Object.keys(all).filter((id) => all[id]!.elementwise))('%s: tensors updated as one get what they get apart, to the bit, and are saved apart', async (id) => {
    const optimizer = all[id]!;
    const settings = defaultSettings(optimizer.fields);
    const isSecond = (name: string): boolean => name === tensors[1]!.name;
    expect(packsTogether(tensors, () => null).length).toBe(1);
    expect(packsTogether(tensors, isSecond).map(({ members }) => members.length)).toEqual([1, 1, tensors.length - 2]);
    const together = await stateOf(optimizer, settings, wave(5));
    const apart = await stateOf({ ...optimizer, elementwise: undefined } as Optimizer, settings, wave(5));
    for (const step of [1, 2, 3]) for (const state of [together, apart]) await state.apply(gradientsOf(wave(step)), 1, step, 0.1);
    const [one, other] = [await readAll(together), await readAll(apart)];
    expect([...one.keys()].sort()).toEqual([...other.keys()].sort());
    for (const [name, data] of other) expect(one.get(name), name).toEqual(data);
    const resumed = await stateOf(optimizer, settings, wave(99), {}, false, await together.snapshot());
    expect(await readAll(resumed)).toEqual(one);
    for (const state of [together, apart, resumed]) await state.dispose();
  });

  test('two halves accumulated are one whole', async () => {
    const run = async (accumulated: boolean): Promise<Map<string, Float32Array>> => {
      const state = await stateOf(all['adamw']!, defaultSettings(all['adamw']!.fields), wave(5), { clip: 1 }, true);
      for (const step of [1, 2]) {
        const whole = (i: number): Float64Array => wave(step)(i).map((value, at) => (value + wave(step + 9)(i)[at]!) / 2);
        const gradients = accumulated ? await state.accumulate(gradientsOf(wave(step)), gradientsOf(wave(step + 9))) : gradientsOf(whole);
        await state.apply(gradients, accumulated ? 1 / 2 : 1, step, 0.01);
      }
      const values = await readAll(state);
      await state.dispose();
      return values;
    };
    const [halves, whole] = [await run(true), await run(false)];
    expect([...halves.keys()].sort()).toEqual([...whole.keys()].sort());
    for (const [name, data] of whole) expect(relativeError(halves.get(name)!, data), name).toBeLessThan(2e-6);
  });

  test('the running average is decay · average + (1 − decay) · parameter, from the start values', async () => {
    const decay = 0.7;
    const state = await stateOf(all['adamw']!, defaultSettings(all['adamw']!.fields), wave(5), { ema: decay });
    let expected = tensors.map((_, i) => Float64Array.from(wave(5)(i)));
    for (const step of [1, 2, 3]) {
      await state.apply(gradientsOf(wave(step)), 1, step, 0.1);
      const values = await readAll(state);
      expected = expected.map((average, i) => average.map((value, at) => decay * value + (1 - decay) * values.get(tensors[i]!.name)![at]!));
      for (const [i, { name }] of tensors.entries()) {
        expect(relativeError(values.get(averageName(name))!, expected[i]!), name).toBeLessThan(1e-6);
        expect(await state.shown.get(name)!.read()).toEqual(values.get(averageName(name)));
        expect(relativeError(values.get(name)!, expected[i]!), 'parameter and average differ').toBeGreaterThan(1e-3);
      }
    }
    await state.dispose();
  });
});

test('Prodigy finds a step size on a plain slope, Adafactor keeps rows and columns only', async () => {
  const far = (i: number): Float64Array => new Float64Array(sizeOf(shapes[i]!)).fill(1);
  const course = await train('prodigy', defaultSettings(all['prodigy']!.fields), onOracle, new Array<number>(40).fill(1), far, (_step, i) => new Float64Array(sizeOf(shapes[i]!)).fill(0.1));
  expect(course.at(-1)!.get(sharedName('distance'))![0]!).toBeGreaterThan(1e-5);
  const adafactor = all['adafactor']!;
  expect(adafactor.state([64, 32], defaultSettings(adafactor.fields) as never)).toEqual({ rows: [64], columns: [32] });
});
