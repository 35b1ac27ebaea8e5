// A compiled graph: one ONNX Runtime session per segment, run in order, values freed at their last use.
import { InferenceSession, type Tensor } from 'onnxruntime-node';
import { dirname, relative, sep } from 'node:path';
import { assert, UserError } from '../../base/errors.ts';
import { sameShape, type Shape } from '../../base/shape.ts';
import type { Graph, Value } from '../../graph/types.ts';
import { verify } from '../../graph/verify.ts';
import type { CompileOptions, DeviceTensor, HostData, Program, Timing, WeightSource } from '../runtime.ts';
import { sessionOptions, type SessionSettings } from './devices.ts';
import { lowerSegment, valueName, type PlaceWeight } from './lower.ts';
import { isMissingOp, missingOpError } from './missing-op.ts';
import { modelBytes, type ModelSpec } from './model-proto.ts';
import { cutIntoSegments, type Segment } from './segments.ts';
import { type OnnxTensor, wrap } from './tensors.ts';

interface Step {
  readonly segment: Segment;
  readonly session: InferenceSession;
}

export interface ProgramSettings {
  readonly device: string;
  readonly threads: number;
  readonly profileFolder?: string;
}

export async function compileProgram(graph: Graph, options: CompileOptions, settings: ProgramSettings): Promise<Program> {
  verify(graph);
  const steps: Step[] = [];
  for (const [index, segment] of cutIntoSegments(graph).entries()) {
    const folder = commonFolder(segment, options.weights);
    const name = `${options.name}.${index}.${segment.region}`;
    const model = lowerSegment(segment, settings.device, placeWeights(options.weights, folder), name);
    const profile = settings.profileFolder ? `${settings.profileFolder}/${name.replaceAll(/[^\w.~-]/g, '_')}` : undefined;
    const session = await createSession(model, { ...settings, folder, ...(profile ? { profile } : {}) }, name);
    steps.push({ segment, session });
  }
  return new OnnxProgram(graph, steps);
}

async function createSession(model: ModelSpec, settings: SessionSettings, name: string): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(modelBytes(model), sessionOptions(settings));
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    if (isMissingOp(text)) throw await missingOpError(model, settings, name);
    throw new UserError('device.cannot-compile', `The device "${settings.device}" cannot run the part "${name}": ${text}`, { device: settings.device, name });
  }
}

class OnnxProgram implements Program {
  private readonly graph: Graph;
  private readonly steps: readonly Step[];
  private milliseconds = 0;
  private runs = 0;

  constructor(graph: Graph, steps: readonly Step[]) {
    this.graph = graph;
    this.steps = steps;
  }

  get timing(): Timing {
    return { device: this.milliseconds, runs: this.runs };
  }

  async run(feeds: ReadonlyMap<string, DeviceTensor>): Promise<Map<string, DeviceTensor>> {
    const live = new Map<Value, Tensor>();
    const tensorOf = (value: Value): Tensor => {
      const made = live.get(value);
      if (made) return made;
      const fed = feeds.get(value.leaf?.name ?? '');
      assert(fed, `${valueName(value)} is not fed`);
      return (fed as OnnxTensor).tensor;
    };
    for (const { segment, session } of this.steps) {
      const inputs = Object.fromEntries(segment.inputs.map((value) => [valueName(value), tensorOf(value)]));
      const start = performance.now();
      const outputs = await session.run(inputs);
      this.milliseconds += performance.now() - start;
      for (const value of segment.outputs) live.set(value, inShape(outputs[valueName(value)]!, value.shape));
      for (const value of segment.lastUses) {
        live.get(value)!.dispose();
        live.delete(value);
      }
    }
    this.runs++;
    return this.collect(live, tensorOf);
  }

  private collect(live: ReadonlyMap<Value, Tensor>, tensorOf: (value: Value) => Tensor): Map<string, DeviceTensor> {
    return new Map([...this.graph.outputs].map(([name, value]) => {
      assert(live.has(value), `output ${name} is a leaf; graphs must compute their outputs`);
      return [name, wrap(tensorOf(value), value)];
    }));
  }

  async dispose(): Promise<void> {
    for (const { session } of this.steps) await session.release();
  }
}

/** The same memory in the shape that the graph says; a session may give it out in another one. */
const inShape = (tensor: Tensor, shape: Shape): Tensor => (sameShape(tensor.dims, shape) ? tensor : tensor.reshape(shape));

/** The deepest folder that holds every file a segment's weights are in. */
function commonFolder(segment: Segment, weights: WeightSource): string | null {
  const folders = new Set<string>();
  for (const value of segment.constants) {
    if (value.leaf!.kind !== 'weight') continue;
    const location = weights(value.leaf!.name);
    if (location.kind === 'file') folders.add(dirname(location.file));
  }
  const [first, ...others] = folders;
  if (first === undefined) return null;
  return others.reduce((common, folder) => {
    let shared = common;
    while (folder !== shared && !folder.startsWith(shared.endsWith(sep) ? shared : shared + sep)) shared = dirname(shared);
    return shared;
  }, first);
}

const placeWeights = (weights: WeightSource, folder: string | null): PlaceWeight => (value) => {
  const location = weights(value.leaf!.name);
  if (location.kind === 'memory') return bytesOf(location.data);
  const file = relative(folder!, location.file).split(sep).join('/');
  return { location: file, offset: location.offset, length: location.length };
};

const bytesOf = (data: HostData): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
