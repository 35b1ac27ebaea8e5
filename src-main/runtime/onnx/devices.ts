// The devices ONNX Runtime can compute on, and the session options each needs.
import type { InferenceSession } from 'onnxruntime-node';
import { UserError } from '../../base/errors.ts';
import type { Device } from '../../contract/devices.ts';

export interface DeviceFacts {
  /** Name of the execution provider. */
  readonly provider: string;
  /** Whether values can stay in the device's memory between sessions. */
  readonly keepsBuffers: boolean;
}

export const devices: Readonly<Record<Exclude<Device, 'auto'>, DeviceFacts>> = {
  cpu: { provider: 'cpu', keepsBuffers: false },
  cuda: { provider: 'cuda', keepsBuffers: false },
  dml: { provider: 'dml', keepsBuffers: false },
  webgpu: { provider: 'webgpu', keepsBuffers: true },
};

export function deviceFacts(device: string): DeviceFacts {
  const facts = Object.hasOwn(devices, device) ? devices[device as keyof typeof devices] : undefined;
  if (!facts) throw new UserError('device.unknown', `There is no device "${device}"; use one of auto, ${Object.keys(devices).join(', ')}.`, { device });
  return facts;
}

export interface SessionSettings {
  readonly device: string;
  /** Folder that external data is relative to. */
  readonly folder: string | null;
  /** CPU threads; 0 leaves it to the library. */
  readonly threads: number;
  /** Whether the CPU may keep copies of the weights in layouts that suit its kernels. */
  readonly repacks: boolean;
  readonly profile?: string;
}

export function sessionOptions({ device, folder, threads, repacks, profile }: SessionSettings): InferenceSession.SessionOptions {
  const facts = deviceFacts(device);
  return {
    executionProviders: [facts.provider],
    intraOpNumThreads: threads,
    // 'all' is 'extended' with convolutions in blocked layouts.
    graphOptimizationLevel: repacks ? 'all' : 'extended',
    // Segments are many and short-lived in their peak: an arena each would keep the sum of their peaks.
    enableCpuMemArena: false,
    logSeverityLevel: 3,
    ...(facts.keepsBuffers ? { preferredOutputLocation: 'gpu-buffer' as const } : {}),
    ...(profile ? { enableProfiling: true, profileFilePrefix: profile } : {}),
    extra: {
      session: {
        // Each session has a thread pool of its own. A thread that waits a moment for the next operation need not be woken for
        // it; one that waited as long as it does by default would take a core from the sessions that follow.
        intra_op: { allow_spinning: '1', spin_duration_us: '100' },
        ...(repacks ? {} : { disable_prepacking: '1' }),
        ...(facts.provider === 'cpu' ? {} : { disable_cpu_ep_fallback: '1' }),
        ...(folder ? { model_external_initializers_file_folder_path: folder } : {}),
      },
    },
  };
}
