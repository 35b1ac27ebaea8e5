// The tensor IR: immutable nodes with static shapes. A graph is built (builder.ts), differentiated (autodiff.ts),
// checked (verify.ts) and then run by something under runtime/; nothing is computed while it is built.
import type { DType } from '../base/dtype.ts';
import type { Shape } from '../base/shape.ts';
import type { OpName } from './ops/index.ts';
import type { Builder } from './builder.ts';

export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** What a leaf stands for. `weight`: frozen, bytes of a file; `trainable`: fed by the trainer; `input`: fed per run. */
export type LeafKind = 'input' | 'weight' | 'trainable' | 'constant';

export type AttrValue = number | string | boolean | readonly number[] | undefined;
export type Attrs = Readonly<Record<string, AttrValue>>;

/** One node and at the same time its (single) output. `id` grows in creation order, so inputs have smaller ids. */
export interface Value extends TensorType {
  readonly id: number;
  readonly op: OpName | 'leaf';
  readonly inputs: readonly Value[];
  readonly attrs: Attrs;
  /** Part of the schedule the node belongs to (one block of the model, forward or backward). */
  readonly region: string;
  readonly leaf?: Leaf;
}

export interface Leaf {
  readonly kind: LeafKind;
  /** Parameter path (= key of the file in the diffusers layout) or input name; unique per graph. */
  readonly name: string;
  /** Elements of a constant, row-major. */
  readonly data?: readonly number[];
}

/** A finished graph. `outputs` keep their order. */
export interface Graph {
  readonly outputs: ReadonlyMap<string, Value>;
  /** Every node that an output needs, inputs before users. */
  readonly nodes: readonly Value[];
}

/** Dense row-major f64 array: what the oracle computes with. */
export interface NdArray {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/** What a gradient rule sees: the forward node's inputs, its output and the gradient of the output. */
export interface GradContext<A> {
  readonly inputs: readonly Value[];
  readonly output: Value;
  readonly dy: Value;
  readonly attrs: A;
  /** Whether the gradient of input `i` is wanted; a rule may skip the others. */
  readonly wants: (i: number) => boolean;
}

/** Gradients in the order of the inputs. `null`: not wanted, or zero. Broadcast axes need not be summed: the walk does it. */
export type GradRule<A> = (g: Builder, context: GradContext<A>) => readonly (Value | null)[];

/** Emits ONNX nodes. Names are ONNX value names. */
export interface OnnxEmitter {
  /** `cpu` also has FusedMatMul and other com.microsoft operators that no other provider implements. */
  readonly device: string;
  node(opType: string, inputs: readonly string[], attrs?: OnnxAttrs, domain?: string): string;
  /** An i64 vector (axes, shapes, pads). */
  ints(values: readonly number[]): string;
  scalar(value: number, dtype: DType): string;
}
export type OnnxAttrs = Readonly<Record<string, number | string | readonly number[] | { readonly float: number }>>;

export interface OnnxContext<A> {
  readonly inputs: readonly TensorType[];
  readonly output: TensorType;
  readonly attrs: A;
}
export type OnnxRule<A> = (e: OnnxEmitter, names: readonly string[], context: OnnxContext<A>) => string;

/** One tensor of a test case: its shape, and optionally dtype, range of values or values. */
export interface CaseInput {
  readonly shape: Shape;
  readonly dtype?: DType;
  /** Uniform in [min, max]; default [-1.5, 1.5]. */
  readonly range?: readonly [number, number];
  readonly values?: readonly number[];
  /** No gradient is tested for this input (indices, masks). */
  readonly fixed?: boolean;
}
export interface OpCase<A> {
  readonly inputs: readonly CaseInput[];
  readonly attrs?: A;
}

/** Number of inputs. `many`: one list, which may be as long as the op says; `2or3`: the last one may be null. */
export type Arity = 1 | 2 | 3 | 'many' | '2or3';

interface OpBase<A, N extends Arity> {
  readonly arity: N;
  /** Largest relative error of the f32 result against the f64 oracle that tests accept; default 2e-5. */
  readonly tolerance?: number;
  readonly cases: readonly OpCase<A>[];
}

/** An operation with its own numbers, gradient and lowering. */
export interface Primitive<A extends Attrs, N extends Arity> extends OpBase<A, N> {
  readonly kind: 'primitive';
  infer(inputs: readonly TensorType[], attrs: A): TensorType;
  evaluate(inputs: readonly NdArray[], attrs: A, output: TensorType, inputTypes: readonly TensorType[]): Float64Array;
  /** `blocked`: gradients stop here by definition (detach, comparisons); tests do not compare with differences. */
  readonly grad: GradRule<A> | 'blocked';
  readonly onnx: OnnxRule<A>;
}

/**
 * An operation made of others. `body` is its definition: shape, numbers, gradient and lowering follow from it.
 * `grad` and `onnx` are shortcuts (less memory, one fused node) that tests compare with the body.
 */
export interface Composite<A extends Attrs, N extends Arity> extends OpBase<A, N> {
  readonly kind: 'composite';
  body(g: Builder, inputs: readonly Value[], attrs: A): Value;
  readonly grad?: GradRule<A>;
  /** May decline a device or dtype by returning null; then the body is lowered. */
  readonly onnx?: (...args: Parameters<OnnxRule<A>>) => string | null;
}

export type Op<A extends Attrs, N extends Arity> = Primitive<A, N> | Composite<A, N>;
export type NoAttrs = Readonly<Record<never, never>>;
