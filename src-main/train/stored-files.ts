// The files of a base model, tensor by tensor in the order of their bytes, with the parameters that each tensor holds: what
// is needed to write a changed model in the layout of its base.
//
// To write a changed copy of a file: go through `tensors` in order. One whose `parameters` are all unchanged is copied as the
// bytes [offset, offset + length). Otherwise decode those bytes to f32, call `putParameter(all, parameter, values)` of
// nn/tensor-layout.ts for each changed parameter (it undoes fusing, reshaping and transposing), and encode again. Names,
// shapes and order stay as they are. Tensors without parameters (markers, position ids) are copied.
import type { FileDType } from '../files/file-dtype.ts';
import type { WeightFile } from '../files/weight-file.ts';
import type { Parameters, Placed } from '../nn/tensor-layout.ts';

/** A parameter `unet.conv_in.weight`, with how it lies in the tensor that holds it. */
export interface StoredParameter extends Placed {
  readonly path: string;
}

export interface StoredTensor {
  readonly name: string;
  readonly dtype: FileDType;
  readonly shape: readonly number[];
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly length: number;
  /** Empty when the model does not use the tensor. */
  readonly parameters: readonly StoredParameter[];
}

export interface StoredFile {
  readonly path: string;
  readonly file: WeightFile;
  readonly metadata: ReadonlyMap<string, string>;
  /** In the order of their bytes. */
  readonly tensors: readonly StoredTensor[];
}

/** A component whose weights lie in a file (or in the shards of one index), by its name: `unet`. */
export interface StoredComponent {
  readonly file: WeightFile;
  readonly parameters: Parameters;
}

/** Files in the order in which their first component stands; shards of an index one by one. */
export function storedFiles(components: ReadonlyMap<string, StoredComponent>): StoredFile[] {
  const holds = new Map<string, Map<string, StoredParameter[]>>();
  const sources = new Map<string, WeightFile>();
  for (const [component, { file, parameters }] of components) {
    for (const each of file.files) sources.set(each.path, each);
    for (const [key, parameter] of parameters) {
      const { file: path } = file.locate(parameter.tensor);
      const own = holds.get(path) ?? new Map<string, StoredParameter[]>();
      own.set(parameter.tensor, [...(own.get(parameter.tensor) ?? []), { ...parameter, path: `${component}.${key}` }]);
      holds.set(path, own);
    }
  }
  return [...sources].map(([path, file]) => {
    const tensors = [...file.tensors].map(([name, { dtype, shape }]): StoredTensor => {
      const { offset, length } = file.locate(name);
      return { name, dtype, shape, offset, length, parameters: holds.get(path)?.get(name) ?? [] };
    });
    return { path, file, metadata: file.metadata, tensors: tensors.sort((a, b) => a.offset - b.offset || a.length - b.length) };
  });
}
