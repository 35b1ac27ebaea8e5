// From the job's device and dtype to a runtime.
import { UserError } from '../base/errors.ts';
import type { DType } from '../base/dtype.ts';
import type { TrainEventBody } from '../contract/events.ts';
import type { Job } from '../contract/job.ts';
import { createOnnxRuntime } from '../runtime/onnx/onnx-runtime.ts';
import { cpuDevice, findDevices, type FoundDevice } from '../runtime/onnx/find-devices.ts';
import type { Runtime } from '../runtime/runtime.ts';

export interface ChosenRuntime {
  readonly runtime: Runtime;
  /** Element type of weights and activations. */
  readonly compute: DType;
  readonly scalesLoss: boolean;
}

/**
 * Errors: `device.missing`, `device.no-f16`.
 * @param threads of the CPU; 0 leaves it to the library
 * @param emit hears which devices are tried, which takes seconds
 */
export async function chooseRuntime({ train }: { readonly train: Pick<Job['train'], 'device' | 'dtype'> }, threads = 0, emit: (event: TrainEventBody) => void = () => {}): Promise<ChosenRuntime> {
  const device = await chooseDevice(train.device, emit);
  if (train.dtype === 'f16' && !device.hasF16) {
    throw new UserError('device.no-f16', `The device "${device.name}" cannot compute in f16: set train.dtype = "f32" or "auto".`, { device: device.name });
  }
  const compute: DType = train.dtype === 'auto' ? (device.name !== 'cpu' && device.hasF16 ? 'f16' : 'f32') : train.dtype;
  return { runtime: createOnnxRuntime({ device: device.name, threads }), compute, scalesLoss: compute === 'f16' };
}

/** `auto`: the first real accelerator, else the CPU. A software adapter is taken only when it is named. */
export async function chooseDevice(wanted: string, emit: (event: TrainEventBody) => void = () => {}): Promise<FoundDevice> {
  if (wanted === cpuDevice.name) return cpuDevice;
  const found = await findDevices((name, done, total) => emit({ kind: 'phase', name: 'try the device', about: name, done, total, unit: 'devices' }));
  if (wanted === 'auto') return found.find((device) => device !== cpuDevice && device.isUsable && !device.isSoftware) ?? cpuDevice;
  const device = found.find(({ name }) => name === wanted);
  if (device?.isUsable) return device;
  const usable = found.filter(({ isUsable }) => isUsable).map(({ name }) => name).join(', ');
  throw new UserError('device.missing', `The device "${wanted}" is not available here (${device?.text ?? 'unknown'}): choose one of ${usable}, or "auto".`, { wanted });
}
