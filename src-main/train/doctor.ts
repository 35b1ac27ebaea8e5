// `adora doctor`: what devices there are, and whether each computes what the CPU computes: one small network with
// convolutions, attention and a DoRA on it, forward and gradients. Several devices are examined in processes of their
// own, because a driver that fails may end the process.
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, freemem, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { UserError } from '../base/errors.ts';
import type { TrainEventBody } from '../contract/events.ts';
import { say, type Text } from '../contract/text.ts';
import { evaluate } from '../graph/evaluate.ts';
import { findDevices, type FoundDevice } from '../runtime/onnx/find-devices.ts';
import { graphicsMemory } from '../runtime/onnx/graphics-memory.ts';
import { createOnnxRuntime } from '../runtime/onnx/onnx-runtime.ts';
import { PREDICTION, runSingleStep } from './single-step.ts';
import { smallStep } from './small-step.ts';
import { LOSS } from './step-graph.ts';

export interface DoctorRequest {
  /** `auto` examines every device. */
  readonly device: string;
}

export interface Comparison {
  readonly dtype: 'f32' | 'f16';
  readonly prediction: number;
  readonly loss: number;
  /** Largest relative error of a trained tensor's gradient. */
  readonly gradient: number;
  readonly worst: string;
  readonly ok: boolean;
}

export interface DeviceReport extends FoundDevice {
  readonly comparisons: readonly Comparison[];
  readonly ok: boolean;
  /** What went wrong while examining it. */
  readonly error: string | null;
}

/** The verdict on a device that was examined. */
function verdictOf({ name, isSoftware, hasF16, ok }: DeviceReport): Text {
  const types = name === 'cpu' ? 'f32' : hasF16 ? 'f32 and f16' : 'f32';
  return say(ok ? 'doctor.right' : 'doctor.wrong', `${ok ? 'computes right' : 'COMPUTES WRONG, do not train on it'} (${types}${isSoftware ? '; emulated on the CPU, never chosen by itself' : ''})`, { device: name, isSoftware, f16: hasF16 && name !== 'cpu' });
}

interface Context {
  readonly onEvent: (event: TrainEventBody) => void;
}

const GIBIBYTE = 2 ** 30;
/** Largest relative errors that rounding explains. */
const ALLOWED = { f32: 1e-3, f16: 5e-2 } as const;

/** @param entry path of this program's entry, to start it again. Errors: `device.missing`. `ok` is false when a usable device computes wrongly. */
export async function doctorCommand({ device }: DoctorRequest, { onEvent }: Context, entry: string): Promise<{ text: string; data: unknown; ok: boolean; verdicts: Text[] }> {
  const found = await findDevices((name, done, total) => onEvent({ kind: 'phase', name: 'try the device', about: name, done, total, unit: 'devices' }));
  const wanted = device === 'auto' ? found : found.filter(({ name }) => name === device);
  if (wanted.length === 0) throw new UserError('device.missing', `The device "${device}" is not among those of this build: ${found.map(({ name }) => name).join(', ')}.`, { device });
  const reports: DeviceReport[] = [];
  for (const [index, one] of wanted.entries()) {
    onEvent({ kind: 'phase', name: 'examine', about: one.name, done: index, total: wanted.length, unit: 'devices' });
    if (!one.isUsable) reports.push({ ...one, comparisons: [], ok: false, error: null });
    else reports.push(device === 'auto' ? await examineApart(one, entry) : await examine(one));
  }
  const system = await systemFacts();
  const ok = reports.every((report) => !report.isUsable || report.ok) && reports.some((report) => report.ok);
  return { text: [...Object.entries(system).map(([name, value]) => `${name}: ${value}`), '', ...reports.flatMap(describe)].join('\n'), data: { system, devices: reports }, ok, verdicts: reports.map((report) => (report.isUsable ? verdictOf(report) : textOf(report))) };
}

async function examine(device: FoundDevice): Promise<DeviceReport> {
  try {
    const comparisons = [await compare(device.name, 'f32'), ...(device.hasF16 ? [await compare(device.name, 'f16')] : [])];
    return { ...device, comparisons, ok: comparisons.every(({ ok }) => ok), error: null };
  } catch (error) {
    return { ...device, comparisons: [], ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}

async function examineApart(device: FoundDevice, entry: string): Promise<DeviceReport> {
  const failed = (error: string): DeviceReport => ({ ...device, comparisons: [], ok: false, error });
  const run = promisify(execFile);
  const { stdout, problem } = await run(process.execPath, [entry, 'doctor', '--device', device.name, '--json'], { maxBuffer: 2 ** 26 })
    .then((done) => ({ stdout: done.stdout, problem: 'it gave no result' }), (error: { stdout?: string; message: string }) => ({ stdout: error.stdout ?? '', problem: error.message.split('\n')[0]! }));
  const events = stdout.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as { kind: string; data?: { devices?: DeviceReport[] } });
  return events.find(({ kind }) => kind === 'result')?.data?.devices?.[0] ?? failed(`its process ended: ${problem}`);
}

/** The small network on a device against the CPU in f32; the CPU itself against plain f64 arithmetic. */
async function compare(name: string, dtype: 'f32' | 'f16'): Promise<Comparison> {
  const expected = name === 'cpu' ? exactStep() : await step('cpu', 'f32');
  const actual = await step(name, dtype);
  const errors = [...expected].map(([key, values]) => ({ key, error: relativeError(actual.get(key)!, values) }));
  const of = (key: string): number => errors.find((one) => one.key === key)!.error;
  const worst = errors.filter(({ key }) => key !== PREDICTION && key !== LOSS).reduce((a, b) => (b.error > a.error || Number.isNaN(b.error) ? b : a));
  const ok = errors.every(({ error }) => error < ALLOWED[dtype]);
  return { dtype, prediction: of(PREDICTION), loss: of(LOSS), gradient: worst.error, worst: worst.key, ok };
}

async function step(device: string, dtype: 'f32' | 'f16'): Promise<Map<string, Float32Array>> {
  const { graph, weights, feeds } = smallStep({ compute: dtype });
  return runSingleStep(createOnnxRuntime({ device }), graph, weights, feeds);
}

function exactStep(): Map<string, Float32Array> {
  const { graph, weight, feeds } = smallStep({ compute: 'f32' });
  const frozen = graph.nodes.flatMap(({ leaf }) => (leaf?.kind === 'weight' ? [[leaf.name, weight(leaf.name)] as const] : []));
  const results = evaluate(graph, new Map([...frozen, ...[...feeds].map(([name, { data }]) => [name, data as Float32Array] as const)]));
  return new Map([...results].map(([name, { data }]) => [name, Float32Array.from(data)]));
}

/** ‖a − b‖ / ‖b‖ */
function relativeError(actual: Float32Array, expected: Float32Array): number {
  let difference = 0;
  let size = 0;
  expected.forEach((value, i) => {
    difference += (actual[i]! - value) ** 2;
    size += value ** 2;
  });
  return Math.sqrt(difference / Math.max(size, 1e-20));
}

async function systemFacts(): Promise<Record<string, string>> {
  const require = createRequire(import.meta.url);
  // Not every package lets its package.json be required.
  const version = (name: string): string => {
    for (let folder = dirname(require.resolve(name)); folder !== dirname(folder); folder = dirname(folder)) {
      const file = join(folder, 'package.json');
      const facts = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { name?: string; version?: string }) : {};
      if (facts.name === name && facts.version) return facts.version;
    }
    return 'unknown';
  };
  const size = (bytes: number): string => `${(bytes / GIBIBYTE).toFixed(1)} GB`;
  const gpus = await graphicsMemory();
  return {
    system: `${process.platform} ${process.arch}, Node ${process.versions.node}`,
    processor: `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} threads`,
    memory: `${size(totalmem())}, ${size(freemem())} free`,
    'memory of GPUs': gpus.map(({ name, total, free }) => `${name} ${size(total)}${free === null ? '' : `, ${size(free)} free`}`).join('; ') || 'unknown',
    'ONNX Runtime': version('onnxruntime-node'),
    sharp: version('sharp'),
  };
}

const textOf = ({ code, data, text }: Text): Text => ({ code, data, text });

function describe(report: DeviceReport): string[] {
  const { name, isUsable, text, comparisons, error } = report;
  if (!isUsable) return [`${name}: not usable, ${text}`];
  const head = `${name}: ${verdictOf(report).text}`;
  const rows = comparisons.map((one) => `  ${one.dtype}: prediction off by ${one.prediction.toExponential(1)}, gradients by up to ${one.gradient.toExponential(1)} (allowed ${ALLOWED[one.dtype]})${one.ok ? '' : `, worst ${one.worst}`}`);
  return [head, ...rows, ...(error ? [`  ${error}`] : [])];
}
