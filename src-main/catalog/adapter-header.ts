// What the header of an adapter file tells, without its values and without a model: its layout, its layers, axis and family. One
// place for training, `inspect` and the library.
import type { Shape } from '../base/shape.ts';
import { DORA_SCALE, DOWN, MAGNITUDE, UP, type AdapterFormat, type AdapterPart, type DoraAxis, type NamedModel } from './define/format.ts';
import { canonicalKey, MIDDLE, vectorAxis } from './define/foreign-keys.ts';
import { otherFamily } from './define/other-families.ts';
import { formats } from './formats/index.ts';

/** The header of a safetensors file, as far as this goes. */
export interface Header {
  readonly tensors: ReadonlyMap<string, { readonly shape: Shape }>;
  readonly metadata: ReadonlyMap<string, string>;
}

export interface AdapterHeader {
  /** Name of the layout in the catalog. */
  readonly layout: string;
  readonly format: AdapterFormat;
  /** Keys of the tensors of each layer; layers as the layout spells them. */
  readonly modules: ReadonlyMap<string, ReadonlyMap<AdapterPart, string>>;
  /** Keys of the middle tensors of convolutions in Tucker form, by layer. */
  readonly middles: ReadonlyMap<string, string>;
  /** Tensors that the layout does not know. */
  readonly unknown: readonly string[];
}

/** Files of a run's own have the names of adapters and hold values that alpha is not folded into: checkpoints, and what it began with. */
export const isOfRun = (metadata: Header['metadata']): boolean => metadata.has('adora.checkpoint') || metadata.has('adora.start');

/** The layout that knows most of the matrices, and its layers; null when no layout knows any, and for files of a run's own. */
export function adapterHeader({ tensors, metadata }: Header): AdapterHeader | null {
  if (isOfRun(metadata)) return null;
  const keys = [...tensors.keys()];
  const counts = Object.entries(formats).map(([layout, format]) => ({ layout, format, known: keys.filter((key) => isMatrix(format, key)).length }));
  const { layout, format, known } = counts.reduce((best, next) => (next.known > best.known ? next : best));
  if (known === 0) return null;
  const modules = new Map<string, Map<AdapterPart, string>>();
  const unknown: string[] = [];
  const middles = new Map<string, string>();
  for (const key of keys) {
    const middle = MIDDLE.exec(canonicalKey(key))?.[1];
    if (middle !== undefined) {
      middles.set(middle, key);
      continue;
    }
    const parsed = format.parse(canonicalKey(key));
    const module = parsed && (modules.get(parsed.module) ?? new Map<AdapterPart, string>());
    if (!parsed || !module || module.has(parsed.part)) unknown.push(key);
    else modules.set(parsed.module, module.set(parsed.part, key));
  }
  for (const [module, key] of middles) if (!modules.has(module)) unknown.push(key);
  return { layout, format, modules, middles, unknown };
}

const isMatrix = (format: AdapterFormat, key: string): boolean => {
  const part = format.parse(canonicalKey(key))?.part;
  return part === DOWN || part === UP;
};

/** Layers with magnitudes. */
export const isDora = ({ modules }: Pick<AdapterHeader, 'modules'>): boolean => [...modules.values()].some((parts) => parts.has(MAGNITUDE));

/** The axis that the file's own texts state. */
export function statedAxis(metadata: Header['metadata']): DoraAxis | null {
  const own = metadata.get('adora.dora_axis');
  if (own === 'input' || own === 'output') return own;
  const match = /"wd_on_out(?:put)?"\s*:\s*"?(true|false)/i.exec(metadata.get('ss_network_args') ?? '');
  return match ? (match[1]!.toLowerCase() === 'true' ? 'output' : 'input') : null;
}

/** Names and shapes tell, then the file's texts; null without magnitudes, or where nothing tells. */
export function axisOfHeader({ modules, format }: Pick<AdapterHeader, 'modules' | 'format'>, { tensors, metadata }: Header): DoraAxis | null {
  const keys = [...modules.values()].flatMap((parts) => parts.get(MAGNITUDE) ?? []);
  if (keys.length === 0) return null;
  const own = keys.map((key) => axisOfTensor(key, tensors.get(key)!.shape, format));
  return own[0] && own.every((axis) => axis === own[0]) ? own[0] : statedAxis(metadata);
}

function axisOfTensor(key: string, shape: Shape, { axes }: AdapterFormat): DoraAxis | null {
  const named = vectorAxis(key) ?? (axes.length === 1 && !key.endsWith(`.${DORA_SCALE}`) ? axes[0]! : null);
  if (named !== null) return named;
  if (shape.length < 2) return null;
  return shape[0] === 1 ? 'input' : shape.slice(1).every((extent) => extent === 1) ? 'output' : null;
}

const FAMILIES: Readonly<Record<number, string>> = { 768: 'Stable Diffusion 1.x', 1024: 'Stable Diffusion 2.x', 1280: 'the refiner of Stable Diffusion XL', 2048: 'Stable Diffusion XL' };

/** What `familyOfHeader` gave, if it is the name of published models as their family gives it; a width says nothing of a model's name. */
export const publishedName = (given: string | null): string | null => Object.values(FAMILIES).find((name) => name === given) ?? null;

/** By the names of its layers, or the width of the text that cross-attention reads; null where nothing in the file tells. */
export function familyOfHeader({ modules }: Pick<AdapterHeader, 'modules'>, { tensors }: Pick<Header, 'tensors'>): string | null {
  const other = otherFamily(tensors.keys());
  if (other !== null) return other;
  for (const [module, parts] of modules) {
    const down = /attn2[._]to_[kv]$/.test(module) ? parts.get(DOWN) : undefined;
    const width = down === undefined ? undefined : tensors.get(down)!.shape[1];
    if (width !== undefined) return familyOfWidth(width);
  }
  return null;
}

/** The same for a model's layers, so that both can be compared. */
export function familyOfLayers({ layers }: Pick<NamedModel, 'layers'>): string | null {
  const width = [...layers].find(([path]) => path.endsWith('.attn2.to_k'))?.[1][1];
  return width === undefined ? null : familyOfWidth(width);
}

const familyOfWidth = (width: number): string => FAMILIES[width] ?? `a model whose text has ${width} channels`;

/** The largest rank; 0 where matrices are missing. */
export const rankOfHeader = ({ modules }: Pick<AdapterHeader, 'modules'>, { tensors }: Pick<Header, 'tensors'>): number =>
  Math.max(0, ...[...modules.values()].map((parts) => (parts.has(DOWN) ? tensors.get(parts.get(DOWN)!)!.shape[0] ?? 0 : 0)));
