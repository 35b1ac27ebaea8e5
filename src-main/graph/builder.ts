// The only way to make a node. A Builder also carries what a model needs while it is built: parameter scopes are plain
// path strings, regions cut the schedule, and `layer` lets an adapter replace a linear or convolution layer.
import { assert } from '../base/errors.ts';
import type { DType } from '../base/dtype.ts';
import { isFloat } from '../base/dtype.ts';
import { sameShape, showShape, sizeOf, type Shape } from '../base/shape.ts';
import { ops, type OpName, type Ops } from './ops/index.ts';
import type { Arity, Attrs, Graph, Leaf, Op, TensorType, Value } from './types.ts';

type Operand = Value | number;
type AttrsArgument<A> = keyof A extends never ? [] : [attrs: A];
type Method<A, N extends Arity> = N extends 1
  ? (x: Value, ...attrs: AttrsArgument<A>) => Value
  : N extends 2
    ? (a: Operand, b: Operand, ...attrs: AttrsArgument<A>) => Value
    : N extends 3
      ? (a: Value, b: Operand, c: Operand, ...attrs: AttrsArgument<A>) => Value
      : N extends '2or3'
        ? (a: Value, b: Value, c: Value | null, ...attrs: AttrsArgument<A>) => Value
        : (values: readonly Value[], ...attrs: AttrsArgument<A>) => Value;
type OpMethods = {
  [K in OpName]: Ops[K] extends Op<infer A, infer N> ? Method<A, N> : never;
};

/** A layer with a weight, as an adapter sees it. `base` computes the layer's own output (bias included). */
export interface Layer {
  readonly kind: 'linear' | 'conv';
  /** Path of the module; its tensors are `<path>.weight` and, if `bias`, `<path>.bias`. */
  readonly path: string;
  readonly x: Value;
  readonly weight: Value;
  readonly bias: Value | null;
  readonly conv?: { readonly stride: number; readonly pads: readonly [number, number, number, number] };
}
export type LayerTransform = (g: Builder, layer: Layer) => Value | null;

export interface BuilderOptions {
  /** Element type of activations; norms, softmax and losses stay in f32. */
  readonly compute?: DType;
  /** Element type of a parameter as stored; `f32` when absent. */
  readonly storedDType?: (path: string) => DType;
  /** Which parameters are trained rather than frozen. Trained parameters are always f32. */
  readonly trains?: (path: string) => boolean;
  /**
   * Largest number of elements of the scores of one piece of attention in a backward part; larger attention is cut.
   * The default suits the caches of a CPU.
   */
  readonly largestScores?: number;
  /** Whether the graph is a training step: adapters then ask for dropout masks. */
  readonly training?: boolean;
  /** Asked for every layer; null keeps the layer as it is. */
  readonly transform?: LayerTransform;
}

class BuilderCore {
  readonly compute: DType;
  readonly largestScores: number;
  readonly training: boolean;
  readonly leaves = new Map<string, Value>();
  private readonly options: BuilderOptions;
  private readonly constants = new Map<string, Value>();
  private nextId = 0;
  private currentRegion = 'main';

  constructor(options: BuilderOptions = {}) {
    this.options = options;
    this.compute = options.compute ?? 'f32';
    this.training = options.training ?? false;
    this.largestScores = options.largestScores ?? 2 ** 20;
  }

  /** Makes a node of any op; the typed methods (`g.add`, ...) are the ordinary way. */
  apply(name: OpName, inputs: readonly Value[], attrs: Attrs): Value {
    const op = ops[name] as unknown as Op<Attrs, Arity>;
    const type = inferType(op, inputs, attrs);
    return this.make(name, inputs, attrs, type);
  }

  /** A value fed at every run. */
  input(name: string, shape: Shape, dtype: DType = 'f32'): Value {
    return this.leafOf({ kind: 'input', name }, { shape, dtype });
  }

  /**
   * A parameter of the model, in the computing element type. Asking twice for a path gives the same leaf.
   * @param path key in the diffusers layout
   */
  param(path: string, shape: Shape, compute: DType = this.compute): Value {
    const isTrained = this.options.trains?.(path) ?? false;
    const dtype = isTrained ? 'f32' : (this.options.storedDType?.(path) ?? 'f32');
    const leaf = this.leafOf({ kind: isTrained ? 'trainable' : 'weight', name: path }, { shape, dtype });
    return dtype === compute ? leaf : this.apply('cast', [leaf], { to: compute });
  }

  /** A parameter of an adapter: trained, f32. */
  trainable(path: string, shape: Shape): Value {
    return this.leafOf({ kind: 'trainable', name: path }, { shape, dtype: 'f32' });
  }

  constant(data: readonly number[], shape: Shape, dtype: DType = 'f32'): Value {
    assert(data.length === sizeOf(shape), `constant of ${data.length} elements has shape ${showShape(shape)}`);
    const key = `${dtype}${showShape(shape)}:${data.join(',')}`;
    const known = this.constants.get(key);
    if (known) return known;
    const value = this.make('leaf', [], {}, { shape, dtype }, { kind: 'constant', name: `constant.${this.constants.size}`, data });
    this.constants.set(key, value);
    return value;
  }

  scalar(value: number, dtype: DType = 'f32'): Value {
    return this.constant([value], [], dtype);
  }

  /** Runs `build` with its nodes in a region of the schedule; regions do not nest, the inner name wins. */
  region<T>(name: string, build: () => T): T {
    const outer = this.currentRegion;
    this.currentRegion = name;
    try {
      return build();
    } finally {
      this.currentRegion = outer;
    }
  }

  get regionName(): string {
    return this.currentRegion;
  }

  /** Output of a layer: as the adapter makes it, else as `base` does. */
  layer(layer: Layer, base: () => Value): Value {
    return this.options.transform?.(this as unknown as Builder, layer) ?? base();
  }

  /** Collects what the outputs need, inputs before users. */
  graph(outputs: Readonly<Record<string, Value>>): Graph {
    const entries = new Map(Object.entries(outputs));
    return { outputs: entries, nodes: reachable([...entries.values()]) };
  }

  private leafOf(leaf: Leaf, type: TensorType): Value {
    const known = this.leaves.get(leaf.name);
    if (known) {
      assert(known.dtype === type.dtype && sameShape(known.shape, type.shape), `${leaf.name} has two types`);
      return known;
    }
    const value = this.make('leaf', [], {}, type, leaf);
    this.leaves.set(leaf.name, value);
    return value;
  }

  private make(op: OpName | 'leaf', inputs: readonly Value[], attrs: Attrs, type: TensorType, leaf?: Leaf): Value {
    const value = { id: this.nextId++, op, inputs, attrs, dtype: type.dtype, shape: type.shape, region: this.currentRegion };
    return leaf ? { ...value, leaf } : value;
  }
}

/** Output type of an op. A composite is asked by building its body on a scratch builder. */
export function inferType(op: Op<Attrs, Arity>, inputs: readonly TensorType[], attrs: Attrs): TensorType {
  if (op.kind === 'primitive') return op.infer(inputs, attrs);
  const scratch = createBuilder();
  const leaves = inputs.map((type, index) => scratch.input(`x${index}`, type.shape, type.dtype));
  const { dtype, shape } = op.body(scratch, leaves, attrs);
  return { dtype, shape };
}

/** Nodes needed by `outputs`, inputs before users, in creation order where that is free. */
export function reachable(outputs: readonly Value[]): Value[] {
  const seen = new Set<Value>();
  const stack = [...outputs];
  while (stack.length > 0) {
    const value = stack.pop()!;
    if (seen.has(value)) continue;
    seen.add(value);
    stack.push(...value.inputs);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}

function toValue(g: BuilderCore, operand: Operand, like: Value): Value {
  if (typeof operand !== 'number') return operand;
  assert(isFloat(like.dtype) || Number.isInteger(operand), `${operand} is no ${like.dtype}`);
  return g.scalar(operand, like.dtype);
}

for (const name of Object.keys(ops) as OpName[]) {
  const arity: Arity = ops[name].arity;
  const method = function (this: BuilderCore, ...args: (Operand | readonly Value[] | Attrs | null)[]): Value {
    if (arity === 'many') return this.apply(name, args[0] as readonly Value[], (args[1] ?? {}) as Attrs);
    const count = arity === '2or3' ? 3 : arity;
    const operands = args.slice(0, count).filter((operand) => operand !== null) as Operand[];
    const like = operands.find((operand) => typeof operand !== 'number');
    assert(like !== undefined && typeof like !== 'number', `${name} needs at least one tensor`);
    return this.apply(name, operands.map((operand) => toValue(this, operand, like)), (args[count] ?? {}) as Attrs);
  };
  Object.defineProperty(BuilderCore.prototype, name, { value: method });
}

export type Builder = BuilderCore & OpMethods;

export function createBuilder(options: BuilderOptions = {}): Builder {
  return new BuilderCore(options) as Builder;
}
