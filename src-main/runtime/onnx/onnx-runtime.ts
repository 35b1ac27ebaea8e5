// The runtime on ONNX Runtime.
import type { Runtime } from '../runtime.ts';
import { deviceFacts } from './devices.ts';
import { compileProgram } from './program.ts';
import { upload } from './tensors.ts';

export interface OnnxSettings {
  /** `cpu`, `cuda`, `dml` or `webgpu`. */
  readonly device: string;
  /** CPU threads; 0 leaves it to the library. */
  readonly threads?: number;
  /** Writes a profile per session into this folder. */
  readonly profileFolder?: string;
}

export function createOnnxRuntime({ device, threads = 0, profileFolder }: OnnxSettings): Runtime {
  deviceFacts(device);
  const settings = { device, threads, ...(profileFolder ? { profileFolder } : {}) };
  return { device, upload, compile: (graph, options) => compileProgram(graph, options, settings) };
}
