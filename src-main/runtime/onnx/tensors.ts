// Tensors of ONNX Runtime behind the runtime's own interface.
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { DType } from '../../base/dtype.ts';
import { showShape, type Shape } from '../../base/shape.ts';
import type { TensorType } from '../../graph/types.ts';
import type { DeviceTensor, HostData, HostTensor } from '../runtime.ts';
import { modelBytes } from './model-proto.ts';

const ORT_TYPE = { f32: 'float32', f16: 'float16', i64: 'int64', bool: 'bool' } as const;

export interface OnnxTensor extends DeviceTensor {
  readonly tensor: Tensor;
}

export function wrap(tensor: Tensor, { dtype, shape }: TensorType): OnnxTensor {
  return { tensor, dtype, shape, read: () => readTensor(tensor, dtype, shape), dispose: () => tensor.dispose() };
}

export function upload({ dtype, shape, data }: HostTensor): OnnxTensor {
  return wrap(new Tensor(ORT_TYPE[dtype], data as never, [...shape]), { dtype, shape });
}

async function readTensor(tensor: Tensor, dtype: DType, shape: Shape): Promise<HostData> {
  const onHost = tensor.location === 'gpu-buffer' ? await download(tensor, dtype, shape) : tensor;
  const data = onHost.data as unknown as HostData;
  // Where the runtime has a native Float16Array, f16 tensors come as one; the bits are what we want.
  return dtype === 'f16' ? new Uint16Array(data.buffer, data.byteOffset, data.length) : data;
}

const downloads = new Map<string, Promise<InferenceSession>>();

/** Copies a device buffer through a tiny session whose output is on the host: getData() aborts in onnxruntime-node 1.30. */
async function download(tensor: Tensor, dtype: DType, shape: Shape): Promise<Tensor> {
  const key = `${dtype}${showShape(shape)}`;
  const session = downloads.get(key) ?? createDownload(dtype, shape);
  downloads.set(key, session);
  const result = await (await session).run({ x: tensor });
  return result['y']!;
}

function createDownload(dtype: DType, shape: Shape): Promise<InferenceSession> {
  const model = modelBytes({
    name: 'download',
    nodes: [{ opType: 'Identity', domain: '', inputs: ['x'], outputs: ['y'], attrs: {} }],
    initializers: [],
    inputs: [{ name: 'x', dtype, shape }],
    outputs: [{ name: 'y', dtype, shape }],
  });
  return InferenceSession.create(model, { executionProviders: ['webgpu'], preferredOutputLocation: 'cpu' });
}
