// A compiled graph: one ONNX Runtime session per segment, run in order, values freed at their last use.
import { InferenceSession, type Tensor } from 'onnxruntime-node';
import { closeSync, openSync, readSync } from 'node:fs';
import { disposeAll, keptUnlessFailed } from '../../base/dispose.ts';
import { assert, UserError } from '../../base/errors.ts';
import { sameShape, type Shape } from '../../base/shape.ts';
import type { Graph, Value } from '../../graph/types.ts';
import { verify } from '../../graph/verify.ts';
import type { CompileOptions, DeviceTensor, HostData, Program, Timing, WeightSource } from '../runtime.ts';
import { sessionOptions, type SessionSettings } from './devices.ts';
import { dataFolder, dataPath } from './external-data.ts';
import { lowerSegment, valueName, type PlaceWeight } from './lower.ts';
import { isMissingOp, missingOpError } from './missing-op.ts';
import { modelBytes, type ModelSpec } from './model-proto.ts';
import { repacksWeights } from './repack.ts';
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
  const repacks = settings.device !== 'cpu' || repacksWeights(graph, options.savesMemory ?? false);
  return keptUnlessFailed(async (keep) => {
    const steps: Step[] = [];
    for (const [index, segment] of cutIntoSegments(graph).entries()) {
      const folder = dataFolder(weightFiles(segment, options.weights));
      const name = `${options.name}.${index}.${segment.region}`;
      const model = lowerSegment(segment, settings.device, placeWeights(options.weights, folder), name);
      const profile = settings.profileFolder ? `${settings.profileFolder}/${name.replaceAll(/[^\w.~-]/g, '_')}` : undefined;
      const session = await createSession(model, { ...settings, repacks, folder, ...(profile ? { profile } : {}) }, name);
      keep({ dispose: () => session.release() });
      steps.push({ segment, session });
    }
    return new OnnxProgram(graph, steps);
  });
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
    try {
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
    } catch (error) {
      for (const tensor of live.values()) tensor.dispose();
      throw error;
    }
  }

  private collect(live: ReadonlyMap<Value, Tensor>, tensorOf: (value: Value) => Tensor): Map<string, DeviceTensor> {
    return new Map([...this.graph.outputs].map(([name, value]) => {
      assert(live.has(value), `output ${name} is a leaf; graphs must compute their outputs`);
      return [name, wrap(tensorOf(value), value)];
    }));
  }

  async dispose(): Promise<void> {
    await disposeAll(this.steps.map(({ session }) => ({ dispose: () => session.release() })));
  }
}

/** The same memory in the shape that the graph says; a session may give it out in another one. */
const inShape = (tensor: Tensor, shape: Shape): Tensor => (sameShape(tensor.dims, shape) ? tensor : tensor.reshape(shape));

/** The files that the frozen weights of a segment lie in, one entry per weight. */
const weightFiles = (segment: Segment, weights: WeightSource): string[] =>
  segment.constants.flatMap(({ leaf }) => {
    if (leaf!.kind !== 'weight') return [];
    const location = weights(leaf!.name);
    return location.kind === 'file' ? [location.file] : [];
  });

const placeWeights = (weights: WeightSource, folder: string | null): PlaceWeight => (value) => {
  const location = weights(value.leaf!.name);
  if (location.kind === 'memory') return bytesOf(location.data);
  const { file, offset, length } = location;
  const path = folder === null ? null : dataPath(file, folder);
  return path === null ? readBytes(file, offset, length) : { location: path, offset, length };
};

/** Weights that ONNX Runtime cannot find by a relative path, as those on another drive. */
function readBytes(path: string, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const file = openSync(path, 'r');
  try {
    for (let done = 0; done < length;) {
      const count = readSync(file, bytes, done, length - done, offset + done);
      assert(count > 0, `${path} ends early`);
      done += count;
    }
  } finally {
    closeSync(file);
  }
  return bytes;
}

const bytesOf = (data: HostData): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
