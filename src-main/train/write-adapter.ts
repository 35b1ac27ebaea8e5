// Writes low-rank values as an adapter file of one layout.
import { basename, dirname, join } from 'node:path';
import { UserError } from '../base/errors.ts';
import type { AdapterFormat, AdapterPart } from '../catalog/define/format.ts';
import { encodeTensor } from '../files/convert.ts';
import { sectionHash, dataSectionHash, headerSize, writeSafetensors, type TensorToWrite } from '../files/safetensors-write.ts';
import { DOWN, UP } from '../nn/low-rank.ts';
import { dtypeInFile, valuesInFile, type FileDType } from './export-values.ts';
import { MAGNITUDE, type ExportSource, type SourceFacts, type SourceLayer } from './export-source.ts';

/** ComfyUI shows metadata of files whose header is no larger than this. */
const MOST_HEADER = 1 << 20;
/** Texts that can be missed, the first to go first, when the header would be larger. */
const EXPENDABLE = ['ssmd_cover_images', 'modelspec.thumbnail', 'ss_datasets', 'ss_tag_frequency', 'adora.recipe', 'adora.job', 'ss_bucket_info', 'ss_dataset_dirs'];

export interface WriteSettings {
  readonly dtype: FileDType;
  /** A warning that has to travel with the file. */
  readonly note: string;
  readonly approximation?: SourceFacts['approximation'];
}

/** What of a source is written; no base model is needed for it. */
export type WritableSource = Pick<ExportSource, 'layers' | 'axis' | 'scale' | 'values' | 'named' | 'facts'>;

export interface WrittenFile {
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Bytes of the header. */
  readonly header: number;
}

/** Error: `export.unnamed-layer`, `export.mixed-magnitudes`, `safetensors.f16-overflow`, `files.*`. */
export async function writeAdapter(source: WritableSource, format: AdapterFormat, path: string, { dtype, note, approximation }: WriteSettings): Promise<WrittenFile> {
  const bare = source.axis !== null && format.isAllDora ? source.layers.find((layer) => !source.values.has(`${layer.path}.${MAGNITUDE}`)) : undefined;
  if (bare) throw new UserError('export.mixed-magnitudes', `The adapter has magnitudes in some layers and none in others (first "${bare.path}"), and programs that read the layout ${format.label} would take all of them for DoRA: export with --as lora or --as merged.`, { layer: bare.path });
  const held = valuesInFile(source.values, source.scale, dtype);
  const tensors: TensorToWrite[] = [];
  for (const layer of source.layers) {
    const keyOf = (part: AdapterPart): string => nameOf(layer, part, format, source);
    for (const part of [DOWN, UP, MAGNITUDE] as const) {
      const value = held.get(`${layer.path}.${part}`);
      if (!value) continue;
      const shape = part === MAGNITUDE ? format.magnitudeShape(layer.shape, source.axis!) : value.shape;
      const stored = dtypeInFile(`${layer.path}.${part}`, dtype);
      tensors.push({ name: keyOf(part), dtype: stored, shape, data: encodeTensor(value.data as Float32Array, stored, keyOf(part)) });
    }
    if (format.hasAlpha) tensors.push({ name: keyOf('alpha'), dtype: 'f32', shape: [], data: Float32Array.of(layer.rank) });
  }
  const facts = { ...await source.facts(), note, axis: source.axis, rank: Math.max(0, ...source.layers.map(({ rank }) => rank)), ...(approximation ? { approximation } : {}) };
  return writeWithMetadata(path, tensors, (hash) => format.metadata({ ...facts, hash }));
}

/** Writes tensors with the metadata that their hash is part of, kept small. */
export async function writeWithMetadata(path: string, tensors: readonly TensorToWrite[], metadataOf: (hash: string) => Readonly<Record<string, string>>): Promise<WrittenFile> {
  const metadata = { ...metadataOf(await dataSectionHash(tensors)) };
  for (const key of EXPENDABLE) if (headerSize(tensors, metadata) > MOST_HEADER) delete metadata[key];
  if ('sshs_model_hash' in metadata) metadata['sshs_legacy_hash'] = await legacyHash(tensors, metadata);
  await writeSafetensors(path, tensors, metadata);
  return { path, metadata, header: headerSize(tensors, metadata) };
}

/**
 * As kohya's scripts make it: of the file that would have the `ss_*` texts alone, 64 KiB from 1 MiB on, the first 8 digits of
 * their SHA-256. Smaller files all get that of nothing.
 */
async function legacyHash(tensors: readonly TensorToWrite[], metadata: Readonly<Record<string, string>>): Promise<string> {
  const own = Object.fromEntries(Object.entries(metadata).filter(([key]) => key.startsWith('ss_')));
  return (await sectionHash(tensors, own, 0x100000, 0x10000)).slice(0, 8);
}

/** Error: `export.unnamed-layer`. */
export function nameOf({ path }: SourceLayer, part: AdapterPart, format: AdapterFormat, { named }: Pick<ExportSource, 'named'>): string {
  const name = format.keyOf(path, part, named);
  if (name !== null) return name;
  throw new UserError('export.unnamed-layer', `The layout ${format.label} has no name for the layer "${path}": export for another program, or with --as merged.`, { layer: path });
}

export const adapterFile = (folder: string, stem: string, kind: string): string => join(folder, `${stem}-${kind}.safetensors`);

/** Where a file stands until it is proved. */
export const unprovedPath = (path: string): string => join(dirname(path), `.${basename(path)}.unproved`);
