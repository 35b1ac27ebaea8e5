// A compiled graph: one ONNX Runtime session per segment, run in order, values freed at their last use.
import { InferenceSession, type Tensor } from 'onnxruntime-node';
import { closeSync, openSync, readSync, realpathSync } from 'node:fs';
import type { DType } from '../../base/dtype.ts';
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

/** A value of the graph without the graph: what is kept of it is what the garbage collector walks through in every step. */
interface Slot {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly isFed: boolean;
}

interface Step {
  readonly session: InferenceSession;
  readonly inputs: readonly Slot[];
  readonly outputs: readonly Slot[];
  /** Slots that nobody needs after this step. */
  readonly lastUses: readonly Slot[];
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
    const slots = new Map<Value, Slot>();
    const slotOf = (value: Value): Slot => {
      const slot = slots.get(value) ?? { name: valueName(value), dtype: value.dtype, shape: value.shape, isFed: value.leaf !== undefined };
      slots.set(value, slot);
      return slot;
    };
    const weights = withoutLinks(options.weights);
    const steps: Step[] = [];
    for (const [index, segment] of cutIntoSegments(graph).entries()) {
      const folder = dataFolder(weightFiles(segment, weights));
      const name = `${options.name}.${index}.${segment.region}`;
      const model = lowerSegment(segment, settings.device, placeWeights(weights, folder), name);
      const profile = settings.profileFolder ? `${settings.profileFolder}/${name.replaceAll(/[^\w.~-]/g, '_')}` : undefined;
      const session = await createSession(model, { ...settings, repacks, folder, ...(profile ? { profile } : {}) }, name);
      keep({ dispose: () => session.release() });
      steps.push({ session, inputs: segment.inputs.map(slotOf), outputs: segment.outputs.map(slotOf), lastUses: segment.lastUses.map(slotOf) });
    }
    return new OnnxProgram(new Map([...graph.outputs].map(([name, value]) => [name, slotOf(value)])), steps);
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
  private readonly results: ReadonlyMap<string, Slot>;
  private readonly steps: readonly Step[];
  private milliseconds = 0;
  private runs = 0;

  constructor(results: ReadonlyMap<string, Slot>, steps: readonly Step[]) {
    this.results = results;
    this.steps = steps;
  }

  get timing(): Timing {
    return { device: this.milliseconds, runs: this.runs };
  }

  async run(feeds: ReadonlyMap<string, DeviceTensor>): Promise<Map<string, DeviceTensor>> {
    const live = new Map<Slot, Tensor>();
    const tensorOf = (slot: Slot): Tensor => {
      const made = live.get(slot);
      if (made) return made;
      const fed = slot.isFed ? feeds.get(slot.name) : undefined;
      assert(fed, `${slot.name} is not fed`);
      return (fed as OnnxTensor).tensor;
    };
    try {
      for (const { session, inputs, outputs, lastUses } of this.steps) {
        const given = Object.fromEntries(inputs.map((slot) => [slot.name, tensorOf(slot)]));
        const start = performance.now();
        const made = await session.run(given);
        this.milliseconds += performance.now() - start;
        for (const slot of outputs) live.set(slot, inShape(made[slot.name]!, slot.shape));
        for (const slot of lastUses) {
          live.get(slot)!.dispose();
          live.delete(slot);
        }
      }
      this.runs++;
      return this.collect(live);
    } catch (error) {
      for (const tensor of live.values()) tensor.dispose();
      throw error;
    }
  }

  private collect(live: ReadonlyMap<Slot, Tensor>): Map<string, DeviceTensor> {
    return new Map([...this.results].map(([name, slot]) => {
      const tensor = live.get(slot);
      assert(tensor, `output ${name} is a leaf; graphs must compute their outputs`);
      return [name, wrap(tensor, slot)];
    }));
  }

  async dispose(): Promise<void> {
    await disposeAll(this.steps.map(({ session }) => ({ dispose: () => session.release() })));
  }
}

/** The same memory in the shape that the graph says; a session may give it out in another one. */
const inShape = (tensor: Tensor, shape: Shape): Tensor => (sameShape(tensor.dims, shape) ? tensor : tensor.reshape(shape));

/** ONNX Runtime opens no file that a link leads to out of the folder of external data, as those of caches of downloads do. */
function withoutLinks(weights: WeightSource): WeightSource {
  const real = new Map<string, string>();
  return (path) => {
    const location = weights(path);
    if (location.kind === 'memory') return location;
    const file = real.get(location.file) ?? realpathSync(location.file);
    real.set(location.file, file);
    return { ...location, file };
  };
}

/** The files that the frozen weights of a segment lie in, one entry per weight. */
const weightFiles = (segment: Segment, weights: WeightSource): string[] =>
  segment.constants.flatMap(({ leaf }) => {
    if (leaf!.kind !== 'weight') return [];
    const location = weights(leaf!.name);
    return location.kind === 'file' ? [location.file] : [];
  });

const placeWeights = (weights: WeightSource, folder: string | null): PlaceWeight => (value) => {
  const location = weights(value.leaf!.name);
  if (location.kind === 'memory') return { bytes: bytesOf(location.data), dtype: value.dtype };
  const { file, offset, length, isBf16 = false } = location;
  const path = folder === null ? null : dataPath(file, folder);
  return { bytes: path === null ? readBytes(file, offset, length) : { location: path, offset, length }, dtype: isBf16 ? 'bf16' : value.dtype };
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
