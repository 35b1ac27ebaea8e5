// Which pictures a comparison needs. Pure: from what a person chose to the items that are asked for.
import type { RenderItem } from '../../src-main/contract/api.ts';

export interface PaintSettings {
  readonly prompt: string;
  readonly negative: string;
  readonly seed: number;
  readonly guidance: number;
  /** Of the sampler. */
  readonly steps: number;
  readonly sampler: string;
}

export const axes = ['checkpoint', 'strength', 'prompt', 'guidance', 'seed', 'sampler'] as const;
export type Axis = (typeof axes)[number];
export type AxisValue = string | number;

/** Pictures of one question to the app. */
export const mostPictures = 256;
/** Steps of the strength slider; 0 is the base model. */
export const strengths: readonly number[] = Array.from({ length: 9 }, (_, at) => at * 0.25);

/** The same for two items that are painted alike; as the app keeps them, step 0 and strength 0 are the base model. */
export function keyOf(item: RenderItem): string {
  const { runId, step, strength, prompt, negative, seed, guidance, steps, sampler } = item;
  const isBase = step === 0 || strength === 0;
  return JSON.stringify([runId, isBase ? 0 : step, isBase ? 1 : strength, prompt, negative, seed, guidance, steps, sampler]);
}

export const itemOf = (runId: string, step: number, strength: number, { sampler, ...settings }: PaintSettings): RenderItem =>
  ({ ...settings, ...(sampler === '' ? {} : { sampler }), runId, step, strength });

/** One axis's value in place of what all share. */
export function withValue(item: RenderItem, axis: Axis, value: AxisValue): RenderItem {
  return axis === 'checkpoint' ? { ...item, step: Number(value) } : { ...item, [axis]: value };
}

/** Rows of columns. Without rows there is one. */
export function gridItems(item: RenderItem, columns: { readonly axis: Axis; readonly values: readonly AxisValue[] }, rows: { readonly axis: Axis; readonly values: readonly AxisValue[] } | null): RenderItem[][] {
  const lines = rows === null ? [item] : rows.values.map((value) => withValue(item, rows.axis, value));
  return lines.map((line) => columns.values.map((value) => withValue(line, columns.axis, value)));
}

const limits: Readonly<Record<'checkpoint' | 'strength' | 'guidance' | 'seed', readonly [number, number]>> = { checkpoint: [0, Infinity], strength: [-4, 4], guidance: [0, 100], seed: [0, 2 ** 32 - 1] };

/**
 * The values of an axis from what was typed: prompts one a line, others between commas. Null when one is not possible.
 * @param known saved steps for checkpoints (0, the base model, is always one), ids for samplers
 */
export function parseValues(axis: Axis, text: string, known: readonly AxisValue[]): AxisValue[] | null {
  const parts = text.split(axis === 'prompt' ? '\n' : ',').map((part) => part.trim()).filter((part) => part !== '');
  if (parts.length === 0) return null;
  if (axis === 'prompt') return [...new Set(parts)];
  if (axis === 'sampler') return parts.every((part) => known.includes(part)) ? [...new Set(parts)] : null;
  const numbers = parts.map(Number);
  const [least, most] = limits[axis];
  const isWhole = axis === 'checkpoint' || axis === 'seed';
  const fits = numbers.every((value) => value >= least && value <= most && (!isWhole || Number.isInteger(value)) && (axis !== 'checkpoint' || value === 0 || known.includes(value)));
  return fits ? [...new Set(numbers)] : null;
}

/** What an axis begins with. */
export function startValues(axis: Axis, settings: PaintSettings, checkpoints: readonly number[]): string {
  switch (axis) {
    case 'checkpoint': return [0, ...spread(checkpoints, 5)].join(', ');
    case 'strength': return '0.5, 1, 1.5';
    case 'prompt': return settings.prompt;
    case 'guidance': return '1, 4, 7';
    case 'seed': return [0, 1, 2].map((more) => settings.seed + more).join(', ');
    case 'sampler': return settings.sampler;
    default: return axis satisfies never;
  }
}

/** At most `most` of them, evenly, with the first and the last. */
export function spread<T>(list: readonly T[], most: number): T[] {
  if (list.length <= most) return [...list];
  return Array.from({ length: most }, (_, at) => list[Math.round(at * (list.length - 1) / (most - 1))]!);
}
