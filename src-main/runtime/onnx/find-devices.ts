// Which devices this machine has. A device that aborts must not take the trainer with it, so GPUs are tried in a child
// process.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { listSupportedBackends } from 'onnxruntime-node';

export interface FoundDevice {
  readonly name: string;
  readonly isUsable: boolean;
  /** Emulated on the CPU: slow, never chosen by `auto`. */
  readonly isSoftware: boolean;
  readonly hasF16: boolean;
  /** What it is, or why it cannot be used. */
  readonly text: string;
}

const TRIAL_SECONDS = 60;

/** Devices that the installed ONNX Runtime was built for, and whether each works. */
export async function findDevices(): Promise<FoundDevice[]> {
  const built = listSupportedBackends().map(({ name }) => name);
  const others = ['cuda', 'dml', 'webgpu'].filter((name) => built.includes(name));
  const tried: FoundDevice[] = [];
  for (const name of others) tried.push(await tryDevice(name));
  return [...tried, { name: 'cpu', isUsable: true, isSoftware: false, hasF16: true, text: 'CPU' }];
}

interface Trial {
  readonly ok: boolean;
  readonly f16: boolean;
  readonly error: string | null;
}

async function tryDevice(name: string): Promise<FoundDevice> {
  const refuse = (text: string): FoundDevice => ({ name, isUsable: false, isSoftware: false, hasF16: false, text });
  if (name === 'cuda' && !hasCudaFiles()) return refuse('the CUDA files of ONNX Runtime are not installed (npm run cuda:install)');
  const trial = await runTrial(name);
  if (!trial.ok) return refuse(trial.error === null || /adapter_result|RequestAdapter/i.test(trial.error) ? 'no GPU with a driver for it was found' : trial.error);
  const isSoftware = name === 'webgpu' && isSoftwareAdapter();
  return { name, isUsable: true, isSoftware, hasF16: trial.f16, text: isSoftware ? 'software adapter (SwiftShader)' : 'works' };
}

/** The CUDA provider of ONNX Runtime is downloaded separately, beside the library. */
function hasCudaFiles(): boolean {
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  return existsSync(join(root, 'bin/napi-v6', process.platform, process.arch, 'libonnxruntime_providers_cuda.so'));
}

/** Vulkan's own variable that points at a software driver; ONNX Runtime does not tell which adapter it took. */
const isSoftwareAdapter = (): boolean => /swiftshader|lvp_icd|lavapipe/i.test(process.env['VK_ICD_FILENAMES'] ?? process.env['VK_DRIVER_FILES'] ?? '');

/** Adds two vectors on the device, in f32 and f16, in a process of its own. */
function runTrial(name: string): Promise<Trial> {
  const module = createRequire(import.meta.url).resolve('onnxruntime-node');
  const child = new Promise<Trial>((resolve) => {
    execFile(process.execPath, ['-e', TRIAL, module, name], { timeout: TRIAL_SECONDS * 1000, encoding: 'utf8' }, (error, stdout) => {
      const line = stdout.split('\n').find((text) => text.startsWith('{'));
      resolve(line ? (JSON.parse(line) as Trial) : { ok: false, f16: false, error: error ? firstLine(error.message) : null });
    });
  });
  return child;
}

const firstLine = (text: string): string => text.split('\n').at(-1)!.slice(0, 200);

// ModelProto of y = x + x, as bytes: graph with one Add node; element type 1 (f32) or 10 (f16), shape [4].
const TRIAL = `
const ort = require(process.argv[1]);
const device = process.argv[2];
const text = (field, value) => [field << 3 | 2, value.length, ...Buffer.from(value)];
const part = (field, bytes) => [field << 3 | 2, bytes.length, ...bytes];
const value = (name, type) => [...text(1, name), ...part(2, part(1, [8, type, ...part(2, part(1, [8, 4]))]))];
const model = (type) => Uint8Array.from([8, 10, ...part(7, [
  ...part(1, [...text(1, 'x'), ...text(1, 'x'), ...text(2, 'y'), ...text(4, 'Add')]), ...text(2, 'trial'),
  ...part(11, value('x', type)), ...part(12, value('y', type))]), ...part(8, [16, 21])]);
const options = { executionProviders: [device], logSeverityLevel: 4, extra: { session: { disable_cpu_ep_fallback: '1' } } };
async function run(type, name, data) {
  const session = await ort.InferenceSession.create(model(type), options);
  const { y } = await session.run({ x: new ort.Tensor(name, data, [4]) });
  return y.data;
}
(async () => {
  let ok = false, f16 = false, error = null;
  try { ok = (await run(1, 'float32', Float32Array.of(1, 2, 3, 4)))[3] === 8; } catch (e) { error = String(e.message).slice(0, 200); }
  if (ok) { try { await run(10, 'float16', new Uint16Array(4)); f16 = true; } catch {} }
  console.log(JSON.stringify({ ok, f16, error }));
})();
`;
