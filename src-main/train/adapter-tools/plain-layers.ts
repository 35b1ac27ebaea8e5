// Low-rank pairs of an adapter file by the names that the file has for its layers, for work that needs no model.
import { UserError } from '../../base/errors.ts';
import { otherKind } from '../../catalog/define/foreign-keys.ts';
import type { AdapterPart } from '../../catalog/define/format.ts';
import { sameShape, sizeOf, type Shape } from '../../base/shape.ts';
import { encodeTensor } from '../../files/convert.ts';
import { shown } from '../../files/safetensors-header.ts';
import type { TensorToWrite } from '../../files/safetensors-write.ts';
import { DOWN, MAGNITUDE, UP } from '../../nn/low-rank.ts';
import type { FileDType } from '../export-values.ts';
import { openAdapter, scaleOf, type AdapterFile } from '../read-adapter.ts';
import { writeWithMetadata } from '../write-adapter.ts';
import { foldMiddle } from './tucker.ts';

export interface PlainLayer {
  /** The layer as the file spells it. */
  readonly module: string;
  readonly rank: number;
  /** [r,I(,kh,kw)] */
  readonly down: Float32Array;
  readonly downShape: Shape;
  /** [O,r(,1,1)], alpha / rank folded in. */
  readonly up: Float32Array;
  readonly upShape: Shape;
  /** Magnitudes as the file has them; null without. */
  readonly magnitude: TensorToWrite | null;
}

export interface PlainAdapter {
  readonly adapter: AdapterFile;
  readonly layers: readonly PlainLayer[];
}

/**
 * The pairs of a file, and its magnitudes as they are.
 * Errors: those of `openAdapter`; `adapter.unknown-keys`, `adapter.incomplete`, `adapter.shape`, `adapter.not-finite`.
 */
export function readPlain(path: string): PlainAdapter {
  const adapter = openAdapter(path);
  const { file, modules, middles, unknown } = adapter;
  if (unknown.length > 0) throw new UserError('adapter.unknown-keys', `"${path}" holds tensors that Adora cannot apply, first "${shown(unknown[0]!)}"${otherWords(unknown)}: choose a plain LoRA file.`, { path, keys: unknown.slice(0, 100) });
  const layers = [...modules].map(([module, parts]): PlainLayer => {
    const [downKey, upKey] = [parts.get(DOWN), parts.get(UP)];
    if (downKey === undefined || upKey === undefined) throw new UserError('adapter.incomplete', `"${path}" has only one of the two matrices of "${shown(module)}": get the file again.`, { path, module });
    const upShape = file.tensors.get(upKey)!.shape;
    const stored = file.tensors.get(downKey)!.shape;
    const rank = stored[0] ?? 0;
    const middle = middles.get(module);
    const downShape = middle === undefined ? stored : [...stored.slice(0, 2), ...file.tensors.get(middle)!.shape.slice(2)];
    if (rank === 0 || upShape[1] !== rank || stored.length < 2 || sizeOf(upShape) !== upShape[0]! * rank) {
      throw new UserError('adapter.shape', `The two matrices of "${shown(module)}" in "${path}" do not fit each other: get the file again.`, { path, module });
    }
    const scale = scaleOf(adapter, module, parts, rank);
    const down = middle === undefined ? file.readF32(downKey) : foldMiddle(file, downKey, middle);
    const up = file.readF32(upKey).map((value) => value * scale);
    if (!down.every(Number.isFinite) || !up.every(Number.isFinite)) throw new UserError('adapter.not-finite', `"${shown(module)}" in "${path}" holds values that are not numbers: use an earlier file.`, { path, module });
    const magnitude = parts.get(MAGNITUDE);
    const kept = magnitude === undefined ? null : file.read(magnitude);
    return { module, rank, down, downShape, up, upShape, magnitude: kept && { name: magnitude!, dtype: kept.dtype, shape: kept.shape, data: kept.bytes } };
  });
  return { adapter, layers };
}

const otherWords = (unknown: readonly string[]): string => {
  const kind = otherKind(unknown);
  return kind === null ? '' : `, as in ${kind}`;
};

/** Texts that would be untrue after the tensors changed. */
const STALE = ['sshs_model_hash', 'sshs_legacy_hash', 'modelspec.hash_sha256', 'adora.rank', 'adora.trained_alpha', 'ss_network_dim', 'ss_network_alpha', 'alpha', 'lora_alpha', 'lora_adapter_metadata', 'adora.proof'];

/** Name of a layer's tensor; null when the file has none for it. */
export type NameOfTensor = (module: string, part: AdapterPart) => string | null;

/** As the file itself spells them. */
export const ownNames = ({ modules, format }: AdapterFile): NameOfTensor => (module, part) =>
  modules.get(module)?.get(part) ?? (part === 'alpha' && format.hasAlpha ? format.tensorName(module, part) : null);

/**
 * Writes pairs with the texts of `like`; alpha = rank.
 * @param keeps which of these texts stay true
 */
export async function writePlain(path: string, like: AdapterFile, nameOf: NameOfTensor, layers: readonly PlainLayer[], texts: Readonly<Record<string, string>> = {}, keeps: (name: string) => boolean = () => true): Promise<void> {
  const dtype = dtypeOf(like);
  const tensors = layers.flatMap((layer): TensorToWrite[] => {
    const [down, up, alpha] = ([DOWN, UP, 'alpha'] as const).map((part) => nameOf(layer.module, part)) as [string, string, string | null];
    return [
      { name: down, dtype, shape: layer.downShape, data: encodeTensor(Float32Array.from(layer.down), dtype, down) },
      { name: up, dtype, shape: layer.upShape, data: encodeTensor(Float32Array.from(layer.up), dtype, up) },
      ...(layer.magnitude === null ? [] : [layer.magnitude]),
      ...(alpha === null ? [] : [{ name: alpha, dtype: 'f32' as const, shape: [], data: Float32Array.of(layer.rank) }]),
    ];
  });
  const rank = String(Math.max(0, ...layers.map((layer) => layer.rank)));
  const kept = Object.fromEntries([...like.file.metadata].filter(([name]) => !STALE.includes(name) && keeps(name)));
  await writeWithMetadata(path, tensors, (hash) => ({
    ...kept, ...texts, 'modelspec.hash_sha256': `0x${hash}`, 'adora.rank': rank,
    ...(like.format.hasAlpha ? { ss_network_dim: rank, ss_network_alpha: rank, sshs_model_hash: hash } : {}),
  }));
}

export function dtypeOf({ file, modules }: AdapterFile): FileDType {
  const first = [...modules.values()].flatMap((parts) => parts.get(DOWN) ?? [])[0];
  const dtype = first === undefined ? 'f32' : file.tensors.get(first)!.dtype;
  return dtype === 'f16' || dtype === 'bf16' ? dtype : 'f32';
}

/** Whether two layers change weights of one shape. */
export const sameWeight = (a: PlainLayer, b: PlainLayer): boolean =>
  a.upShape[0] === b.upShape[0] && sameShape(a.downShape.slice(1), b.downShape.slice(1));
