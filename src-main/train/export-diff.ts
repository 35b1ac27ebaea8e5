// Whole differences of weights (`<module>.diff`): as exact as their element type, as large as the layers of the model.
import { UserError } from '../base/errors.ts';
import type { AdapterFormat } from '../catalog/define/format.ts';
import { encodeTensor } from '../files/convert.ts';
import { openSafetensors } from '../files/safetensors.ts';
import type { TensorToWrite } from '../files/safetensors-write.ts';
import type { Pause } from '../base/linear-algebra/svd.ts';
import { changeOf } from './export-lora.ts';
import type { FileDType } from './export-values.ts';
import type { ExportSource } from './export-source.ts';
import { writeWithMetadata, type WrittenFile } from './write-adapter.ts';

/** A difference to write under a name. */
export interface Difference {
  /** The parameter: `unet.conv_in.weight`. */
  readonly path: string;
  /** In the file. */
  readonly name: string;
  readonly shape: readonly number[];
  /** W' − W0, row-major. */
  readonly values: () => Promise<ArrayLike<number>>;
}

export function differencesOf(source: ExportSource, format: AdapterFormat, pause?: Pause): Difference[] {
  return source.layers.map((layer) => {
    const [module] = format.modulesOf(layer.path, source.named);
    if (module === undefined) throw new UserError('export.unnamed-layer', `The layout ${format.label} has no name for the layer "${layer.path}": export with --as merged.`, { layer: layer.path });
    return { path: `${layer.path}.weight`, name: `${module}.diff`, shape: layer.shape, values: () => changeOf(source, layer, pause) };
  });
}

export interface WrittenDifferences extends WrittenFile {
  /** ‖written − trained‖ / ‖trained‖ over all, and of the worst tensor. */
  readonly overall: number;
  readonly worst: number;
}

/** A hash for old programs makes some differences once more, which does not count. */
function counted(differences: readonly Difference[], onProgress: (done: number, total: number) => void): Difference[] {
  let done = 0;
  return differences.map((difference): Difference => {
    let made = 0;
    return {
      ...difference,
      values: async () => {
        const values = await difference.values();
        if (made++ < PASSES) onProgress(++done, PASSES * differences.length);
        return values;
      },
    };
  });
}

/** For the hash, for the file and for the comparison. */
const PASSES = 3;

/**
 * Each difference is made once in each pass, so that memory holds one at a time.
 * @param onProgress how many of all are made
 * Errors: `safetensors.f16-overflow`, `files.*`.
 */
export async function writeDifferences(path: string, all: readonly Difference[], dtype: FileDType, metadataOf: (hash: string) => Readonly<Record<string, string>>, onProgress: (done: number, total: number) => void = () => {}): Promise<WrittenDifferences> {
  const differences = counted(all, onProgress);
  const tensors = differences.map(({ name, shape, values }): TensorToWrite => ({ name, dtype, shape, data: async () => encodeTensor(Float32Array.from(await values()), dtype, name) }));
  const written = await writeWithMetadata(path, tensors, metadataOf);
  const file = openSafetensors(path);
  let errors = 0;
  let sizes = 0;
  let worst = 0;
  for (const { name, values } of differences) {
    const [wanted, found] = [await values(), file.readF32(name)];
    let error = 0;
    let size = 0;
    for (let i = 0; i < found.length; i++) {
      error += (found[i]! - wanted[i]!) ** 2;
      size += wanted[i]! ** 2;
    }
    errors += error;
    sizes += size;
    if (size > 0) worst = Math.max(worst, Math.sqrt(error / size));
  }
  return { ...written, worst, overall: sizes > 0 ? Math.sqrt(errors / sizes) : 0 };
}
