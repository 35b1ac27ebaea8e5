// Lowers one segment to an ONNX model.
import type { DType } from '../../base/dtype.ts';
import { f32ToF16 } from '../../base/half.ts';
import { ops } from '../../graph/ops/index.ts';
import { createBuilder } from '../../graph/builder.ts';
import type { Arity, Attrs, OnnxAttrs, OnnxEmitter, Op, Value } from '../../graph/types.ts';
import { onnxType, type InitializerSpec, type ModelSpec, type NodeSpec } from './model-proto.ts';
import type { Segment } from './segments.ts';

/** Where a frozen weight's bytes are, relative to the session's folder of external data, and what they hold. */
export type PlaceWeight = (weight: Value) => Pick<InitializerSpec, 'bytes' | 'dtype'>;

/** Name of a value in the models: fed leaves keep theirs; `~` begins no name of a parameter or input. */
export const valueName = (value: Value): string => (value.leaf ? value.leaf.name : `~v${value.id}`);

class SegmentEmitter implements OnnxEmitter {
  readonly device: string;
  readonly nodes: NodeSpec[] = [];
  readonly initializers = new Map<string, InitializerSpec>();
  private count = 0;

  constructor(device: string) {
    this.device = device;
  }

  node(opType: string, inputs: readonly string[], attrs: OnnxAttrs = {}, domain = ''): string {
    const output = `~t${this.count++}`;
    this.nodes.push({ opType, domain, inputs, outputs: [output], attrs });
    return output;
  }

  ints(values: readonly number[]): string {
    const bytes = new Uint8Array(BigInt64Array.from(values, (value) => BigInt(value)).buffer);
    return this.initializer({ name: `ints:${values.join(',')}`, dtype: 'i64', shape: [values.length], bytes });
  }

  scalar(value: number, dtype: DType): string {
    return this.initializer({ name: `${dtype}:${value}`, dtype, shape: [], bytes: constantBytes([value], dtype) });
  }

  /** A frozen weight, or a part of it, in the type that the graph says; the session makes that of bf16 when it is made. */
  weight(spec: InitializerSpec, dtype: DType): string {
    const name = this.initializer(spec);
    return spec.dtype === dtype ? name : this.node('Cast', [name], { to: onnxType[dtype] });
  }

  initializer(spec: InitializerSpec): string {
    if (!this.initializers.has(spec.name)) this.initializers.set(spec.name, spec);
    return spec.name;
  }
}

export function constantBytes(data: readonly number[], dtype: DType): Uint8Array {
  switch (dtype) {
    case 'f32':
      return new Uint8Array(Float32Array.from(data).buffer);
    case 'f16':
      return new Uint8Array(f32ToF16(Float32Array.from(data)).buffer);
    case 'i64':
      return new Uint8Array(BigInt64Array.from(data, (value) => BigInt(value)).buffer);
    case 'bool':
      return Uint8Array.from(data);
  }
}

export function lowerSegment(segment: Segment, device: string, place: PlaceWeight, name: string): ModelSpec {
  const e = new SegmentEmitter(device);
  const names = new Map<Value, string>();
  for (const value of segment.inputs) names.set(value, valueName(value));
  const parts = new Map(segment.nodes.flatMap((node) => {
    const part = partOfWeight(node, place);
    return part ? [[node, part] as const] : [];
  }));
  const usedWhole = new Set(segment.nodes.flatMap((node) => (parts.has(node) ? [] : node.inputs)));
  for (const value of segment.constants) {
    if (!usedWhole.has(value)) continue;
    const placed = value.leaf!.data ? { bytes: constantBytes(value.leaf!.data, value.dtype), dtype: value.dtype } : place(value);
    names.set(value, e.weight({ name: valueName(value), shape: value.shape, ...placed }, value.dtype));
  }
  for (const node of segment.nodes) {
    const part = parts.get(node);
    names.set(node, part ? e.weight(part, node.dtype) : lowerNode(e, node, (value) => names.get(value)!));
  }
  const { nodes, flat } = nameOutputs(e, segment, names);
  return {
    name,
    nodes,
    initializers: [...e.initializers.values()],
    inputs: segment.inputs.map((value) => ({ name: valueName(value), dtype: value.dtype, shape: value.shape })),
    outputs: segment.outputs.map((value) => (flat.has(value) ? { name: valueName(value) } : { name: valueName(value), dtype: value.dtype, shape: value.shape })),
  };
}

/** Neighbouring rows of a frozen weight: a range of its bytes, where a Slice would be a copy. Null for any other node. */
function partOfWeight(node: Value, place: PlaceWeight): InitializerSpec | null {
  const [weight] = node.inputs;
  if (node.op !== 'slice' || weight?.leaf?.kind !== 'weight' || node.attrs['steps']) return null;
  const starts = node.attrs['starts'] as readonly number[];
  if (node.shape.some((extent, axis) => axis > 0 && extent !== weight.shape[axis])) return null;
  const { bytes: whole, dtype } = place(weight);
  const rowLength = (whole instanceof Uint8Array ? whole.byteLength : whole.length) / weight.shape[0]!;
  const [begin, length] = [starts[0]! * rowLength, node.shape[0]! * rowLength];
  const bytes = whole instanceof Uint8Array ? whole.subarray(begin, begin + length) : { ...whole, offset: whole.offset + begin, length };
  return { name: valueName(node), dtype, shape: node.shape, bytes };
}

function lowerNode(e: SegmentEmitter, node: Value, nameOf: (value: Value) => string): string {
  const op = ops[node.op as keyof typeof ops] as unknown as Op<Attrs, Arity>;
  const inputNames = node.inputs.map(nameOf);
  const lowered = op.onnx?.(e, inputNames, { inputs: node.inputs, output: node, attrs: node.attrs }) ?? null;
  if (lowered !== null) return lowered;
  if (op.kind === 'primitive') throw new Error(`Internal error: ${node.op} was not lowered`);
  return lowerBody(e, op.body, node, inputNames);
}

/** Lowers a composite by its definition. */
function lowerBody(e: SegmentEmitter, body: (g: ReturnType<typeof createBuilder>, x: readonly Value[], a: Attrs) => Value, node: Value, inputNames: readonly string[]): string {
  const scratch = createBuilder();
  const leaves = node.inputs.map((input, i) => scratch.input(`x${i}`, input.shape, input.dtype));
  const names = new Map<Value, string>(leaves.map((leaf, i) => [leaf, inputNames[i]!]));
  const output = body(scratch, leaves, node.attrs);
  for (const inner of scratch.graph({ output }).nodes) {
    if (names.has(inner)) continue;
    if (inner.leaf) {
      const bytes = constantBytes(inner.leaf.data!, inner.dtype);
      const key = `body:${inner.dtype}:${inner.shape.join('x')}:${inner.leaf.data!.join(',')}`;
      names.set(inner, e.initializer({ name: key, dtype: inner.dtype, shape: inner.shape, bytes }));
    } else names.set(inner, lowerNode(e, inner, (value) => names.get(value)!));
  }
  return names.get(output)!;
}

/**
 * Gives the tensors that leave the segment their public names; one that is no node's own output gets a copy.
 *
 * A tensor that a Reshape would write as an output is a copy of what it reshapes, because outputs have memory of their own.
 * On the CPU it leaves in its former shape instead (`flat`), and the program gives it the right one, which costs nothing.
 */
function nameOutputs(e: SegmentEmitter, segment: Segment, names: ReadonlyMap<Value, string>): { readonly nodes: NodeSpec[]; readonly flat: ReadonlySet<Value> } {
  const rename = new Map<string, string>();
  const producers = new Map(e.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const taken = new Set(segment.outputs.map((value) => names.get(value)!));
  const flat = new Set<Value>();
  const copies: NodeSpec[] = [];
  for (const value of segment.outputs) {
    let raw = names.get(value)!;
    for (let from = reshaped(producers.get(raw)); e.device === 'cpu' && from !== null && producers.has(from) && !taken.has(from); from = reshaped(producers.get(raw))) {
      raw = from;
      flat.add(value);
      taken.add(raw);
    }
    const wanted = valueName(value);
    if (producers.has(raw) && !rename.has(raw)) rename.set(raw, wanted);
    else copies.push({ opType: 'Identity', domain: '', inputs: [rename.get(raw) ?? raw], outputs: [wanted], attrs: {} });
  }
  const apply = (name: string): string => rename.get(name) ?? name;
  const nodes = e.nodes.map((node) => ({ ...node, inputs: node.inputs.map(apply), outputs: node.outputs.map(apply) }));
  return { nodes: [...nodes, ...copies], flat };
}

/** What a Reshape reshapes; null for any other node. */
const reshaped = (node: NodeSpec | undefined): string | null => (node?.opType === 'Reshape' ? node.inputs[0]! : null);
