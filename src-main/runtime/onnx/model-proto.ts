// Writes ONNX ModelProto messages (onnx.proto of ONNX 1.16, opset 21). Field numbers are the format's own.
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { DType } from '../../base/dtype.ts';
import type { Shape } from '../../base/shape.ts';
import type { OnnxAttrs } from '../../graph/types.ts';

const OPSET = 21;
const IR_VERSION = 10;

/** TensorProto.DataType */
export const onnxType: Readonly<Record<DType | 'bf16', number>> = { f32: 1, i64: 7, bool: 9, f16: 10, bf16: 16 };

export interface NodeSpec {
  readonly opType: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attrs: OnnxAttrs;
}

export interface ValueSpec {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

export interface InitializerSpec extends Omit<ValueSpec, 'dtype'> {
  readonly dtype: DType | 'bf16';
  /** Little-endian bytes, or a range of a file named relative to the session's folder of external data. */
  readonly bytes: Uint8Array | { readonly location: string; readonly offset: number; readonly length: number };
}

export interface ModelSpec {
  readonly name: string;
  readonly nodes: readonly NodeSpec[];
  readonly initializers: readonly InitializerSpec[];
  readonly inputs: readonly ValueSpec[];
  /** Without a type, ONNX Runtime infers it. */
  readonly outputs: readonly (ValueSpec | UntypedSpec)[];
}

export type UntypedSpec = Pick<ValueSpec, 'name'> & { readonly dtype?: undefined };

type Write = (writer: BinaryWriter) => void;

const text = (writer: BinaryWriter, field: number, value: string): void => void writer.tag(field, WireType.LengthDelimited).string(value);
const integer = (writer: BinaryWriter, field: number, value: number): void => void writer.tag(field, WireType.Varint).int64(value);
function message(writer: BinaryWriter, field: number, write: Write): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  write(writer);
  writer.join();
}

// AttributeProto: 1 name, 2 f, 3 i, 4 s, 8 ints, 20 type (1 FLOAT, 2 INT, 3 STRING, 7 INTS)
function attribute(name: string, value: OnnxAttrs[string]): Write {
  return (w) => {
    text(w, 1, name);
    if (typeof value === 'number') {
      integer(w, 3, value);
      integer(w, 20, 2);
    } else if (typeof value === 'string') {
      w.tag(4, WireType.LengthDelimited).bytes(new TextEncoder().encode(value));
      integer(w, 20, 3);
    } else if ('float' in value) {
      w.tag(2, WireType.Bit32).float(value.float);
      integer(w, 20, 1);
    } else {
      for (const item of value) integer(w, 8, item);
      integer(w, 20, 7);
    }
  };
}

// NodeProto: 1 input, 2 output, 4 op_type, 5 attribute, 7 domain
const node = ({ opType, domain, inputs, outputs, attrs }: NodeSpec): Write => (w) => {
  for (const name of inputs) text(w, 1, name);
  for (const name of outputs) text(w, 2, name);
  text(w, 4, opType);
  for (const [name, value] of Object.entries(attrs)) message(w, 5, attribute(name, value));
  if (domain) text(w, 7, domain);
};

// TensorProto: 1 dims, 2 data_type, 8 name, 9 raw_data, 13 external_data (StringStringEntryProto: 1 key, 2 value), 14 data_location
const tensor = ({ name, dtype, shape, bytes }: InitializerSpec): Write => (w) => {
  for (const extent of shape) integer(w, 1, extent);
  integer(w, 2, onnxType[dtype]);
  text(w, 8, name);
  if (bytes instanceof Uint8Array) {
    w.tag(9, WireType.LengthDelimited).bytes(bytes);
    return;
  }
  for (const [key, value] of Object.entries(bytes)) {
    message(w, 13, (entry) => {
      text(entry, 1, key);
      text(entry, 2, String(value));
    });
  }
  integer(w, 14, 1);
};

// ValueInfoProto: 1 name, 2 type; TypeProto: 1 tensor_type; Tensor: 1 elem_type, 2 shape; Shape: 1 dim; Dimension: 1 dim_value
const valueInfo = (spec: ValueSpec | UntypedSpec): Write => (w) => {
  text(w, 1, spec.name);
  if (spec.dtype === undefined) return;
  message(w, 2, (type) =>
    message(type, 1, (tensorType) => {
      integer(tensorType, 1, onnxType[spec.dtype]);
      message(tensorType, 2, (dims) => {
        for (const extent of spec.shape) message(dims, 1, (dim) => integer(dim, 1, extent));
      });
    }),
  );
};

const opset = (domain: string, version: number): Write => (w) => {
  if (domain) text(w, 1, domain);
  integer(w, 2, version);
};

/** Serialises a model. */
export function modelBytes(model: ModelSpec): Uint8Array {
  const w = new BinaryWriter();
  integer(w, 1, IR_VERSION);
  text(w, 2, 'adora');
  // GraphProto: 1 node, 2 name, 5 initializer, 11 input, 12 output
  message(w, 7, (graph) => {
    for (const spec of model.nodes) message(graph, 1, node(spec));
    text(graph, 2, model.name);
    for (const spec of model.initializers) message(graph, 5, tensor(spec));
    for (const spec of model.inputs) message(graph, 11, valueInfo(spec));
    for (const spec of model.outputs) message(graph, 12, valueInfo(spec));
  });
  message(w, 8, opset('', OPSET));
  message(w, 8, opset('com.microsoft', 1));
  return w.finish();
}
