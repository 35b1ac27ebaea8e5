// Which devices this machine has. A device that aborts must not take the trainer with it, so GPUs are tried in a child
// process.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { compileFunction } from 'node:vm';
import { listSupportedBackends } from 'onnxruntime-node';
import { say, type Text } from '../../contract/text.ts';
import { ownTrials, type Trial } from './device-trials.ts';
import { devices } from './devices.ts';
import { modelBytes } from './model-proto.ts';
import { softwareAdapter } from './software-adapter.ts';

/** The text says what it is, or why it cannot be used. */
export interface FoundDevice extends Text {
  readonly name: string;
  readonly isUsable: boolean;
  /** Emulated on the CPU: slow, never chosen by `auto`. */
  readonly isSoftware: boolean;
  readonly hasF16: boolean;
}

const TRIAL_SECONDS = 60;

/** There is always one. */
export const cpuDevice: FoundDevice = { name: 'cpu', isUsable: true, isSoftware: false, hasF16: true, ...say('device.cpu', 'CPU') };

/**
 * Devices that the installed ONNX Runtime was built for, and whether each works; the CPU is the last.
 * @param onTry hears the name of each before it is tried, how many were tried, and of how many
 */
export async function findDevices(onTry: (name: string, done: number, total: number) => void = () => {}): Promise<FoundDevice[]> {
  const built = listSupportedBackends().map(({ name }) => name);
  const others = Object.keys(devices).filter((name) => name !== cpuDevice.name && built.includes(name as never));
  const tried: FoundDevice[] = [];
  for (const name of others) {
    onTry(name, tried.length, others.length);
    tried.push(await tryDevice(name));
  }
  return [...tried, cpuDevice];
}

async function tryDevice(name: string): Promise<FoundDevice> {
  const refuse = (about: Text): FoundDevice => ({ name, isUsable: false, isSoftware: false, hasF16: false, ...about });
  if (name === 'cuda' && !hasCudaFiles()) return refuse(say('device.no-cuda-files', 'the CUDA files of ONNX Runtime are not installed (npm run cuda:install)'));
  const own = ownTrials();
  const trial = own ? { ...nothing, ...await own(name) } : await runTrial(name);
  if (!trial.ok) return refuse(trial.error === null || /adapter_result|RequestAdapter/i.test(trial.error) ? say('device.no-gpu', 'no GPU with a driver for it was found') : say('device.error', trial.error, { error: trial.error }));
  const software = name === 'webgpu' ? softwareAdapter(trial) : null;
  return { name, isUsable: true, isSoftware: software !== null, hasF16: trial.f16, ...(software ? say('device.software', `software adapter (${software})`, { adapter: software }) : say('device.works', 'works')) };
}

/** The CUDA provider of ONNX Runtime is downloaded separately, beside the library. */
function hasCudaFiles(): boolean {
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  return existsSync(join(root, 'bin/napi-v6', process.platform, process.arch, 'libonnxruntime_providers_cuda.so'));
}

/** Adds two vectors on the device, in f32 and f16, in a process of its own. */
function runTrial(name: string): Promise<Trial> {
  return new Promise((resolve) => {
    const options = { timeout: TRIAL_SECONDS * 1000, encoding: 'utf8' as const, maxBuffer: 2 ** 24 };
    execFile(process.execPath, ['-e', TRIAL, ...trialArguments(name)], options, (error, stdout) => {
      // The last line counts: a driver that fails at f16 has told about f32 before.
      const line = stdout.split('\n').findLast((text) => text.startsWith('{'));
      resolve(line ? { ...nothing, ...(JSON.parse(line) as Partial<Trial>) } : { ...nothing, error: error ? lastLine(error.message) : null });
    });
  });
}

const nothing: Trial = { ok: false, f16: false, error: null, platform: process.platform, libraries: [], deviceNodes: [] };

function trialArguments(name: string): string[] {
  const module = createRequire(import.meta.url).resolve('onnxruntime-node');
  return [module, name, ...(['f32', 'f16'] as const).map((dtype) => Buffer.from(sumModel(dtype)).toString('base64'))];
}

/**
 * The same trial in this process, which was started for it and may not outlive it.
 * @param tell hears what is known so far, after each step
 */
export async function tryHere(name: string, tell: (known: Partial<Trial>) => void): Promise<void> {
  const run = compileFunction(`${TRIAL}\nreturn done;`, ['require', 'process', 'console']) as (...given: unknown[]) => Promise<void>;
  const own = { argv: ['', ...trialArguments(name)], report: process.report };
  await run(createRequire(import.meta.url), own, { log: (line: string) => tell(JSON.parse(line) as Partial<Trial>) });
}

const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1)!.slice(0, 200);

function sumModel(dtype: 'f32' | 'f16'): Uint8Array {
  return modelBytes({
    name: 'trial',
    nodes: [{ opType: 'Add', domain: '', inputs: ['x', 'x'], outputs: ['y'], attrs: {} }],
    initializers: [],
    inputs: [{ name: 'x', dtype, shape: [4] }],
    outputs: [{ name: 'y', dtype, shape: [4] }],
  });
}

// Runs by itself: `node -e`, or as the body of a function. Reports after each step, and which libraries and device files the driver has opened.
const TRIAL = `
const fs = require('node:fs');
const ort = require(process.argv[1]);
const [device, f32, f16] = process.argv.slice(2);
const options = { executionProviders: [device], logSeverityLevel: 4, extra: { session: { disable_cpu_ep_fallback: '1' } } };
async function run(model, type, data) {
  const session = await ort.InferenceSession.create(Buffer.from(model, 'base64'), options);
  const { y } = await session.run({ x: new ort.Tensor(type, data, [4]) });
  return Number(y.data[3]);
}
function links(folder) {
  try { return fs.readdirSync(folder).flatMap((name) => { try { return [fs.readlinkSync(folder + '/' + name)]; } catch { return []; } }); } catch { return []; }
}
const told = {};
const tell = (more) => console.log(JSON.stringify(Object.assign(told, more)));
const done = (async () => {
  try { tell({ ok: await run(f32, 'float32', Float32Array.of(1, 2, 3, 4)) === 8 }); } catch (e) { tell({ ok: false, error: String(e.message).slice(0, 200) }); }
  if (!told.ok) return;
  process.report.excludeNetwork = true;
  tell({ libraries: process.report.getReport().sharedObjects, deviceNodes: links('/proc/self/fd').filter((path) => path.startsWith('/dev/')) });
  try { await run(f16, 'float16', new Uint16Array(4)); tell({ f16: true }); } catch {}
})();
`;
