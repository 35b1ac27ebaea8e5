// What an adapter file tells about itself: kind, family, ranks, axis, norms, trigger words, how it was trained, who reads it exactly.
import type { Shape } from '../base/shape.ts';
import { say, type Text } from '../contract/text.ts';
import { axisOfHeader, familyOfHeader, isDora } from '../catalog/adapter-header.ts';
import { ALTERED } from '../catalog/define/format.ts';
import { shown } from '../files/safetensors-header.ts';
import { DOWN, MAGNITUDE, UP } from '../nn/low-rank.ts';
import { foldMiddle } from './adapter-tools/tucker.ts';
import { told, type InspectResult, type Told } from './inspect-facts.ts';
import { verdictsOnAdapter } from './inspect-programs.ts';
import { productNorm } from './low-rank-norms.ts';
import { scaleOf, type AdapterFile } from './read-adapter.ts';

interface LayerFacts {
  readonly module: string;
  /** 0 where one of the two matrices is missing or empty. */
  readonly rank: number;
  readonly alpha: number | null;
  /** ‖alpha / rank · B·A‖; null for an incomplete layer. */
  readonly norm: number | null;
  readonly magnitude: { readonly shape: Shape; readonly least: number; readonly most: number } | null;
}

/** Norms are read from the tensors; everything else stands in the header. */
export function inspectAdapter(adapter: AdapterFile): InspectResult {
  const { file, layout, format, modules, unknown } = adapter;
  const { metadata } = file;
  const layers = [...modules.keys()].map((module) => layerFacts(adapter, module));
  const hasMagnitudes = isDora(adapter);
  const axis = axisOfHeader(adapter, file);
  const ranks = counts(layers.flatMap(({ rank }) => (rank > 0 ? [rank] : [])));
  const damage = damageRow(layers);
  const family = familyOf(adapter);
  const trigger = textOf(metadata, 'modelspec.trigger_phrase', 'modelspec.usage_hint', 'adora.trigger');
  const tags = tagsOf(metadata.get('ss_tag_frequency'));
  const training = TRAINING.flatMap(([label, ...keys]) => {
    const value = textOf(metadata, ...keys);
    return value === null ? [] : [{ label, value }];
  });
  const isPlain = layers.every(({ alpha, rank }) => alpha === null || Math.abs(alpha - rank) <= 1e-6 * rank);
  const programs = verdictsOnAdapter(adapter, hasMagnitudes && axis === null ? undefined : axis, { isDamaged: damage !== null, isPlain });
  const kind = hasMagnitudes ? 'DoRA' : 'LoRA';
  const noFamily = say('inspect.no-family', 'a family of models that the file does not tell');
  const frequent = tags.slice(0, MOST_TAGS).map(({ tag, count }) => `${shown(tag)} (${count})`);
  const [head, ...rows] = [
    told('adapter', `${kind} in the layout ${format.label}`, layersText(layers, ranks, hasMagnitudes, axis), { kind, layout: format.label }),
    told('family', 'for', family ?? noFamily, {}, `for ${family ?? noFamily.text}`),
    ...(unknown.length > 0 ? [told('unknown', 'unknown tensors', say('inspect.unknown.first', `${unknown.length}, first ${shown(unknown[0]!)}`, { count: unknown.length, first: unknown[0] }), {}, `${unknown.length} tensors are unknown, first ${shown(unknown[0]!)}`)] : []),
    ...(damage ? [damage] : []),
    ...normsRow(layers, hasMagnitudes),
    told('trigger', 'trigger words', say('inspect.trigger.words', `${trigger ?? 'none stated'}${frequent.length > 0 ? `; frequent tags: ${frequent.join(', ')}` : ''}`, { trigger, frequent })),
    ...training.map(({ label, value }) => told(label.replaceAll(' ', '-'), label, value)),
  ];
  const text = [
    head!.line, ...rows.map(({ line }) => `  ${line}`),
    ...programs.map(({ label, exact, text: verdict }) => `  ${label}: ${exact ? 'exact. ' : ''}${verdict}`),
  ];
  const layerRows = layers.map(({ module, rank, norm, magnitude }) =>
    `  ${shown(module)}  rank ${rank}, ‖change‖ ${norm?.toPrecision(3) ?? 'incomplete'}${magnitude ? `, magnitudes ${magnitude.least.toPrecision(3)} to ${magnitude.most.toPrecision(3)}` : ''}`);
  return {
    text: [...text, ...layerRows].join('\n'), facts: [head!, ...rows].map(({ fact }) => fact),
    data: {
      what: 'adapter', layout, isDora: hasMagnitudes, axis, family, ranks: ranks.map(({ value }) => value), rankCounts: ranks.map(({ value, count }) => ({ rank: value, layers: count })), layers: layers.map(({ magnitude, ...layer }) => ({ ...layer, magnitude: magnitude && { shape: magnitude.shape, least: magnitude.least, most: magnitude.most } })),
      trigger, tags: tags.slice(0, 100), training: Object.fromEntries(training.map(({ label, value }) => [label, value])), programs, unknown, metadata: Object.fromEntries(metadata),
    },
  };
}

function layerFacts(adapter: AdapterFile, module: string): LayerFacts {
  const { file, modules, middles } = adapter;
  const parts = modules.get(module)!;
  const [down, up, magnitude] = ([DOWN, UP, MAGNITUDE] as const).map((part) => parts.get(part));
  const rank = down === undefined ? 0 : file.tensors.get(down)!.shape[0] ?? 0;
  if (down === undefined || up === undefined || rank === 0) return { module, rank: 0, alpha: null, norm: null, magnitude: null };
  const scale = scaleOf(adapter, module, parts, rank);
  const middle = middles.get(module);
  const norm = Math.abs(scale) * productNorm({ down: middle === undefined ? file.readF32(down) : foldMiddle(file, down, middle), up: file.readF32(up), rank });
  const values = magnitude === undefined ? null : file.readF32(magnitude);
  return {
    module, rank, alpha: parts.has('alpha') || scale !== 1 ? scale * rank : null, norm,
    magnitude: values && { shape: file.tensors.get(magnitude!)!.shape, least: values.reduce((a, b) => Math.min(a, b), Infinity), most: values.reduce((a, b) => Math.max(a, b), -Infinity) },
  };
}

/** How often each value occurs, by value. */
function counts(values: readonly number[]): { value: number; count: number }[] {
  const found = new Map<number, number>();
  for (const value of values) found.set(value, (found.get(value) ?? 0) + 1);
  return [...found].map(([value, count]) => ({ value, count })).sort((a, b) => a.value - b.value);
}

const ranksText = (ranks: readonly { value: number; count: number }[]): string =>
  (ranks.length === 0 ? 'no rank' : ranks.length === 1 ? `rank ${ranks[0]!.value}` : `ranks ${ranks.map(({ value, count }) => `${value} (${count} layers)`).join(', ')}`);

/** Text encoders by any layout's names; everything else belongs to the denoiser. */
const isOfText = ({ module }: LayerFacts): boolean => /^(?:lora_te|text_encoder)/.test(module);

function componentsText(layers: readonly LayerFacts[]): string {
  const text = layers.filter(isOfText).length;
  return text === 0 ? 'none in text encoders' : `${text} in text encoders`;
}

function layersText(layers: readonly LayerFacts[], ranks: readonly { value: number; count: number }[], hasMagnitudes: boolean, axis: string | null): Text {
  const text = `${layers.length} layers (${componentsText(layers)}), ${ranksText(ranks)}${hasMagnitudes ? `, magnitudes per ${axis ?? 'output or input, which the file does not say (--axis)'}` : ''}`;
  return say('inspect.adapter.layers', text, { layers: layers.length, inTextEncoders: layers.filter(isOfText).length, ranks: [...ranks], hasMagnitudes, axis });
}

/** Layers that nothing can be done with: a matrix is missing, a rank of 0, values that are no numbers. */
function damageRow(layers: readonly LayerFacts[]): Told | null {
  const broken = layers.filter(({ norm, magnitude }) => norm === null || !Number.isFinite(norm) || (magnitude !== null && !(Number.isFinite(magnitude.least) && Number.isFinite(magnitude.most))));
  const [first] = broken;
  if (!first) return null;
  const what = first.norm === null ? 'lacks one of its two matrices, or has an empty one' : 'holds values that are not numbers';
  return told('damaged', 'damaged', say('inspect.damaged.first', `${broken.length} of ${layers.length} layers, first ${shown(first.module)}, which ${what}: get the file again, or use an earlier one`, { count: broken.length, layers: layers.length, first: first.module, isIncomplete: first.norm === null }));
}

function normsRow(layers: readonly LayerFacts[], isDora: boolean): Told[] {
  const known = layers.flatMap(({ norm, module }) => (norm === null || !Number.isFinite(norm) ? [] : [{ norm, module }])).sort((a, b) => a.norm - b.norm);
  const [least, most] = [known[0], known.at(-1)];
  if (!least || !most) return [];
  const what = isDora ? 'size of B·A, the change before magnitudes' : 'size of the change';
  const middle = known[known.length >> 1]!.norm;
  const text = `${least.norm.toPrecision(3)} to ${most.norm.toPrecision(3)}, half of them above ${middle.toPrecision(3)}; largest in ${shown(most.module)}`;
  return [told('norms', `${what}, ‖·‖ per layer`, say('inspect.norms.range', text, { least: least.norm, most: most.norm, middle, largest: most.module }), { isDora })];
}

/** By its layers, else by what the file says. */
const familyOf = (adapter: AdapterFile): string | null =>
  familyOfHeader(adapter, adapter.file) ?? textOf(adapter.file.metadata, 'modelspec.architecture', 'ss_base_model_version');

const MOST_TAGS = 8;

/** The first of these texts that says something; one short line. */
function textOf(metadata: ReadonlyMap<string, string>, ...keys: readonly string[]): string | null {
  const found = keys.flatMap((key) => metadata.get(key) ?? []).find((value) => value.trim() !== '' && value !== 'None');
  return found === undefined ? null : shown(found.trim());
}

/** What is told of the training, and the keys that say it. */
const TRAINING: readonly (readonly [label: string, ...keys: string[]])[] = [
  ['title', 'modelspec.title', 'ss_output_name'], ['base model', 'adora.base', 'ss_sd_model_name'], ['base hash', 'adora.base_sha256', 'ss_new_sd_model_hash', 'ss_sd_model_hash'],
  ['network', 'ss_network_module'], ['network settings', 'ss_network_args'], ['trained alpha', 'adora.trained_alpha', 'ss_network_alpha'],
  ['steps', 'adora.steps', 'ss_steps'], ['epochs', 'ss_epoch', 'ss_num_epochs'], ['learning rate', 'ss_unet_lr', 'ss_learning_rate'], ['learning rate of text encoders', 'ss_text_encoder_lr'],
  ['optimizer', 'ss_optimizer'], ['schedule', 'ss_lr_scheduler'], ['batch', 'ss_total_batch_size', 'ss_batch_size_per_device'], ['pictures', 'ss_num_train_images'], ['resolution', 'ss_resolution', 'modelspec.resolution'],
  ['clip skip', 'ss_clip_skip'], ['seed', 'ss_seed'], ['error of the approximation', 'adora.svd_error'], ['made from', 'adora.svd_of'], ['comment', 'ss_training_comment'], ['altered', ALTERED], ['note', 'adora.note'],
];

/** Tags of captions over all folders, the most frequent first. */
function tagsOf(text: string | undefined): { tag: string; count: number }[] {
  const found = new Map<string, number>();
  try {
    const folders: unknown = JSON.parse(text ?? '{}');
    for (const tags of Object.values(folders as Readonly<Record<string, unknown>>)) {
      for (const [tag, count] of Object.entries(tags as Readonly<Record<string, unknown>>)) if (typeof count === 'number') found.set(tag.trim(), (found.get(tag.trim()) ?? 0) + count);
    }
  } catch {
    return [];
  }
  return [...found].map(([tag, count]) => ({ tag, count })).sort((a, b) => b.count - a.count || (a.tag < b.tag ? -1 : 1));
}
