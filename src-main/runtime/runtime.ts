// What the trainer knows of an executor: compile a graph, feed it, keep its results where they are. Nothing above this
// folder knows how it is done.
import type { DType } from '../base/dtype.ts';
import type { Shape } from '../base/shape.ts';
import type { Graph } from '../graph/types.ts';

/** Elements in host memory; f16 as raw bits, bool as bytes. */
export type HostData = Float32Array | Uint16Array | BigInt64Array | Uint8Array;

export interface HostTensor {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly data: HostData;
}

/** A tensor wherever the device keeps it. It lives until it is disposed of. */
export interface DeviceTensor {
  readonly dtype: DType;
  readonly shape: Shape;
  /** Copies the elements to the host. */
  read(): Promise<HostData>;
  dispose(): void;
}

/** Bytes of a frozen weight: a range of the user's own file, or memory. Nothing computes in bf16: it is the file's way to keep an f32. */
export type WeightLocation =
  | { readonly kind: 'file'; readonly file: string; readonly offset: number; readonly length: number; readonly isBf16?: boolean }
  | { readonly kind: 'memory'; readonly data: HostData };

/** Finds a frozen weight by its parameter path. */
export type WeightSource = (path: string) => WeightLocation;

export interface CompileOptions {
  readonly weights: WeightSource;
  /** Name for messages and profiles: `train`, `decode`. */
  readonly name: string;
  /** Prefers less memory to a little time. */
  readonly savesMemory?: boolean;
}

export interface Timing {
  /** Milliseconds inside the device's library since the program was compiled. */
  readonly device: number;
  readonly runs: number;
}

/** A compiled graph. */
export interface Program {
  /**
   * Runs the graph. Feeds are not consumed; results belong to the caller.
   * @param feeds every input and trainable of the graph, by name
   */
  run(feeds: ReadonlyMap<string, DeviceTensor>): Promise<Map<string, DeviceTensor>>;
  readonly timing: Timing;
  dispose(): Promise<void>;
}

export interface Runtime {
  /** `cpu`, `cuda`, `dml`, `webgpu`. */
  readonly device: string;
  compile(graph: Graph, options: CompileOptions): Promise<Program>;
  /** Gives host data to the device. The data must not change afterwards. */
  upload(tensor: HostTensor): DeviceTensor;
}

export const f32 = (data: Float32Array, shape: Shape): HostTensor => ({ dtype: 'f32', shape, data });

export const i64 = (values: ArrayLike<number>, shape: Shape): HostTensor => ({
  dtype: 'i64',
  shape,
  data: BigInt64Array.from(values, (value) => BigInt(value)),
});
