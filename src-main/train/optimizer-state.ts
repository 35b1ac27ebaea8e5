// Trained values, optimizer state and running average on the device, and the programs that advance them.
import { disposeAll, keptUnlessFailed, scoped } from '../base/dispose.ts';
import { sizeOf, type Shape } from '../base/shape.ts';
import type { Optimizer } from '../catalog/define/optimizer.ts';
import { assert } from '../base/errors.ts';
import type { DeviceTensor, HostTensor, Program, Runtime } from '../runtime/runtime.ts';
import { packed, packsApart, packsTogether, unpacked, type Pack } from './packs.ts';
import { gradientName } from './step-graph.ts';
import { readScalar } from './step-programs.ts';
import type { TrainedTensor } from './trained.ts';
import { accumulateGraph, averageName, beforeName, OWN_RATE, sharedName, stateName, UPDATE_NORM, updateGraph, updateNormGraph, type UpdateSettings } from './update-graph.ts';

export interface UpdateResult {
  /** L2 norm of the gradient before clipping; not finite when the update was left out. */
  readonly gradientNorm: number;
  readonly skipped: boolean;
  /** L2 norm of the change of all trained tensors; null when it was not measured. */
  readonly updateNorm: number | null;
}

const noWeights = (): never => assert(false, 'an update has no frozen weights') as never;

export class OptimizerState {
  /** Parameters, shared scalars and averages by name of the tensor, states by name of the pack. */
  private readonly values: Map<string, DeviceTensor>;
  private readonly packs: readonly Pack[];
  private readonly tensors: readonly TrainedTensor[];
  private readonly settings: UpdateSettings;
  private readonly runtime: Runtime;
  private readonly update: Program;
  private readonly add: Program | null;
  /** Compiled when the first update is measured. */
  private norm: Program | null = null;

  private constructor(values: Map<string, DeviceTensor>, packs: readonly Pack[], tensors: readonly TrainedTensor[], settings: UpdateSettings, runtime: Runtime, update: Program, add: Program | null) {
    this.values = values;
    this.packs = packs;
    this.tensors = tensors;
    this.settings = settings;
    this.runtime = runtime;
    this.update = update;
    this.add = add;
  }

  /** @param saved values of a checkpoint; missing ones start anew. */
  static async create(runtime: Runtime, tensors: readonly TrainedTensor[], settings: UpdateSettings, accumulates: boolean, saved?: ReadonlyMap<string, HostTensor>): Promise<OptimizerState> {
    return keptUnlessFailed(async (keep) => {
      const values = new Map<string, DeviceTensor>();
      const packs = settings.optimizer.elementwise ? packsTogether(tensors, settings.hasOwnRate ?? (() => false)) : packsApart(tensors);
      for (const [name, tensor] of await startValues(tensors, packs, settings, saved ?? new Map())) values.set(name, keep(runtime.upload(tensor)));
      const update = keep(await runtime.compile(updateGraph(packs, settings), { weights: noWeights, name: 'update' }));
      const add = accumulates ? keep(await runtime.compile(accumulateGraph(tensors), { weights: noWeights, name: 'accumulate' })) : null;
      return new OptimizerState(values, packs, tensors, settings, runtime, update, add);
    });
  }

  /** The trained tensors alone. */
  get parameters(): Map<string, DeviceTensor> {
    return new Map(this.tensors.map(({ name }) => [name, this.values.get(name)!]));
  }

  /** The running average if one is kept, else the trained tensors: what is shown and exported. */
  get shown(): Map<string, DeviceTensor> {
    return new Map(this.tensors.map(({ name }) => [name, this.values.get(averageName(name)) ?? this.values.get(name)!]));
  }

  /** Sum of two sets of gradients; both are consumed, also when it fails. */
  async accumulate(total: Map<string, DeviceTensor>, next: Map<string, DeviceTensor>): Promise<Map<string, DeviceTensor>> {
    assert(this.add, 'accumulation was not asked for');
    const totals = this.tensors.map(({ name }) => [`total.${name}`, total.get(gradientName(name))!] as const);
    const { add } = this;
    return scoped(async (keep) => {
      for (const tensor of [...total.values(), ...next.values()]) keep(tensor);
      return add.run(new Map([...totals, ...next]));
    });
  }

  /**
   * One optimizer step. With a gradient that is not finite nothing changes.
   * @param factor what the summed gradients are multiplied by to be their mean, loss scale removed
   * @param step from 1
   * @param ownRate of the tensors that have one
   * @param still steps at the beginning of the run whose rate was 0
   * @param measures whether the length of the change is asked for; it costs a pass over the tensors, and changes nothing
   */
  async apply(gradients: ReadonlyMap<string, DeviceTensor>, factor: number, step: number, rate: number, ownRate = rate, still = 0, measures = false): Promise<UpdateResult> {
    const { optimizer, settings } = this.settings;
    const own = Object.entries(optimizer.scalars(step, ownRate, settings as never, still)).map(([name, value]) => [`${OWN_RATE}${name}`, value] as const);
    const scalars = { ...optimizer.scalars(step, rate, settings as never, still), ...Object.fromEntries(own), gradient_factor: factor };
    return scoped(async (keep) => {
      const feeds = Object.entries(scalars).map(([name, value]) => [name, keep(this.scalar(value))] as const);
      const result = await this.update.run(new Map([...this.values, ...gradients, ...feeds]));
      const norm = keep(result.get('gradient_norm')!);
      result.delete('gradient_norm');
      const gradientNorm = await readScalar(norm).catch(async (error: unknown) => {
        await disposeAll(result.values());
        throw error;
      });
      const skipped = !Number.isFinite(gradientNorm);
      const updateNorm = measures && !skipped ? await this.changeTo(result).catch(async (error: unknown) => {
        await disposeAll(result.values());
        throw error;
      }) : null;
      for (const [name, tensor] of result) {
        if (skipped) tensor.dispose();
        else {
          this.values.get(name)!.dispose();
          this.values.set(name, tensor);
        }
      }
      return { gradientNorm, skipped, updateNorm };
    });
  }

  /** Copies of all values on the host, for a checkpoint: states by name of their tensor. */
  async snapshot(): Promise<Map<string, HostTensor>> {
    const copies = new Map<string, HostTensor>();
    const packOf = new Map(this.packs.flatMap((pack) => this.stateKeys(pack).map((key) => [stateName(key, pack.name), { pack, key }] as const)));
    for (const [name, tensor] of this.values) {
      const { dtype, shape } = tensor;
      const data = (await tensor.read()) as Float32Array;
      const whole = packOf.get(name);
      if (!whole || whole.pack.members.length === 1) copies.set(name, { dtype, shape, data: data.slice() });
      else for (const { member, values } of unpacked(whole.pack, data)) copies.set(stateName(whole.key, member.name), { dtype, shape: member.shape, data: values });
    }
    return copies;
  }

  private stateKeys({ shape }: Pack): string[] {
    return Object.keys(this.settings.optimizer.state(shape, this.settings.settings as never));
  }

  async dispose(): Promise<void> {
    await disposeAll([...this.values.values(), this.update, ...[this.add, this.norm].filter((program) => program !== null)]);
  }

  /** L2 norm of the way from the values to these. */
  private async changeTo(next: ReadonlyMap<string, DeviceTensor>): Promise<number> {
    this.norm ??= await this.runtime.compile(updateNormGraph(this.packs), { weights: noWeights, name: 'update-norm' });
    const feeds = this.tensors.flatMap(({ name }) => [[name, next.get(name)!], [beforeName(name), this.values.get(name)!]] as const);
    const { norm } = this;
    return scoped(async (keep) => readScalar(keep((await norm.run(new Map(feeds))).get(UPDATE_NORM)!)));
  }

  private scalar(value: number): DeviceTensor {
    return this.runtime.upload({ dtype: 'f32', shape: [], data: Float32Array.of(value) });
  }
}

/** Saved values where there are any, else the start. */
async function startValues(tensors: readonly TrainedTensor[], packs: readonly Pack[], { optimizer, settings, ema, hasOwnRate = () => false }: UpdateSettings, saved: ReadonlyMap<string, HostTensor>): Promise<Map<string, HostTensor>> {
  const values = new Map<string, HostTensor>();
  const savedOr = (name: string, start: () => Float32Array): Float32Array => (saved.get(name)?.data as Float32Array | undefined) ?? start();
  const set = (name: string, shape: Shape, data: Float32Array): void => void values.set(name, { dtype: 'f32', shape, data });
  for (const { name, shape, initial } of tensors) {
    const start = (saved.get(name)?.data as Float32Array | undefined) ?? (await initial());
    set(name, shape, start);
    if (ema > 0) set(averageName(name), shape, savedOr(averageName(name), () => start.slice()));
  }
  for (const pack of packs) {
    for (const [key, stateShape] of Object.entries(optimizer.state(pack.shape, settings as never))) {
      const rule: ReturnType<NonNullable<Optimizer['initial']>> = optimizer.initial?.(key, settings as never) ?? 0;
      const ofMember = (name: string): Float32Array => savedOr(stateName(key, name), () => {
        const parameter = values.get(name)!;
        const size = pack.members.length === 1 ? sizeOf(stateShape) : sizeOf(parameter.shape);
        return rule === 'parameter' ? (parameter.data as Float32Array).slice() : new Float32Array(size).fill(rule);
      });
      set(stateName(key, pack.name), stateShape, packed(pack, ofMember));
    }
  }
  for (const prefix of ['', OWN_RATE]) {
    if (!tensors.some(({ name }) => hasOwnRate(name) === (prefix === OWN_RATE))) continue;
    for (const [key, value] of Object.entries(optimizer.shared?.(settings as never) ?? {})) set(sharedName(`${prefix}${key}`), [], savedOr(sharedName(`${prefix}${key}`), () => Float32Array.of(value)));
  }
  return values;
}
