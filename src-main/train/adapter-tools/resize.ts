// `adora resize`: a LoRA of another rank, the strongest part of each change, without forming the change. A DoRA keeps its
// magnitudes, and B·A is cut in the same way: the lengths of the weight's vectors stay exact, their directions come close.
import { productSvd, type Keep } from '../../base/linear-algebra/svd.ts';
import { UserError } from '../../base/errors.ts';
import { isDora } from '../../catalog/adapter-header.ts';
import { ALTERED, type DoraAxis } from '../../catalog/define/format.ts';
import { shown } from '../../files/safetensors-header.ts';
import { DOWN, UP } from '../../nn/low-rank.ts';
import { noteForLayout } from '../export-choice.ts';
import { changeOf } from '../export-lora.ts';
import { sourceOfFile, type ExportSource, type SourceLayer } from '../export-source.ts';
import { formatFor, openAdapter } from '../read-adapter.ts';
import { writeAdapter } from '../write-adapter.ts';
import { pairOf } from './pair-of.ts';
import { dtypeOf, ownNames, readPlain, writePlain, type PlainLayer } from './plain-layers.ts';

export interface ResizeRequest {
  readonly file: string;
  readonly rank?: number;
  readonly energy?: number;
  /** The base model; without it a DoRA's error is that of B·A. */
  readonly base?: string;
  /** What magnitudes belong to, where the file leaves it open. */
  readonly axis?: DoraAxis;
  readonly out: string;
}

export interface ToolResult {
  readonly text: string;
  readonly data: unknown;
}

export interface Shrunk {
  readonly layer: PlainLayer;
  /** ‖B·A‖² of before, and the part of it that is lost. */
  readonly total: number;
  readonly lost: number;
}

/** The best approximation of a layer's change with a smaller rank; both matrices get equal shares of the singular values. */
export function shrink(layer: PlainLayer, keep: Keep): Shrunk {
  const rows = layer.upShape[0]!;
  const columns = layer.down.length / layer.rank;
  const { u, s, v, total } = productSvd(layer.up, layer.down, rows, layer.rank, columns, keep);
  const rank = Math.max(1, s.length);
  const isEmpty = s.length === 0;
  const root = (i: number): number => Math.sqrt(s[i]!);
  const lost = Math.max(0, total - s.reduce((sum, value) => sum + value * value, 0));
  return {
    total, lost,
    layer: {
      module: layer.module, rank, magnitude: layer.magnitude,
      down: Float32Array.from({ length: rank * columns }, (_, i) => (isEmpty ? 0 : v[i]! * root(Math.floor(i / columns)))),
      up: Float32Array.from({ length: rows * rank }, (_, i) => (isEmpty ? 0 : u[i]! * root(i % rank))),
      downShape: [rank, ...layer.downShape.slice(1)], upShape: [rows, rank, ...layer.upShape.slice(2)],
    },
  };
}

const percent = (value: number): string => `${(100 * value).toPrecision(3)} %`;

/** Relative error of all layers together and of each, as text and data. */
export function errorsOf(all: readonly Shrunk[]): { readonly overall: number; readonly text: string; readonly layers: readonly unknown[] } {
  const [total, lost] = all.reduce(([a, b], each) => [a + each.total, b + each.lost], [0, 0]);
  const relative = (part: number, whole: number): number => (whole > 0 ? Math.sqrt(part / whole) : 0);
  const layers = all.map((each) => ({ module: each.layer.module, rank: each.layer.rank, error: relative(each.lost, each.total) }));
  const worst = layers.reduce<(typeof layers)[number] | null>((most, each) => (most === null || each.error > most.error ? each : most), null);
  const overall = relative(lost, total);
  return { overall, layers, text: `What is lost is ${percent(overall)} of the change${worst ? `, at most ${percent(worst.error)} in a layer (${worst.module})` : ''}.` };
}

/** Errors: `resize.size`, `resize.needs-base`, those of `readPlain`, `readAdapter` and of writing. */
export async function resizeCommand(request: ResizeRequest): Promise<ToolResult> {
  const { file, rank, energy, out } = request;
  if (rank === undefined && energy === undefined) throw new UserError('resize.size', 'Say how large the adapter shall become: --rank 8, or --energy 0.9 for the share of the change that stays.');
  const keep: Keep = { ...(rank === undefined ? {} : { rank }), ...(energy === undefined ? {} : { energy }) };
  const hasMagnitudes = isDora(openAdapter(file));
  if (hasMagnitudes && request.base !== undefined) return resizeDora(request, request.base, keep);
  const { adapter, layers } = readPlain(file);
  // Plain vectors would have to be written with their axis, which the weights tell.
  const flat = adapter.format.axes.length > 1 ? layers.find(({ magnitude }) => magnitude?.shape.length === 1) : undefined;
  if (flat) throw new UserError('resize.needs-base', `"${file}" stores its magnitudes as plain vectors (in "${shown(flat.module)}"), which programs take for something else: name its base model with --base, and they are written with their axis.`, { file, module: flat.module });
  const shrunk = layers.map((layer) => shrink(layer, keep));
  const { overall, text, layers: errors } = errorsOf(shrunk);
  const of = `${hasMagnitudes ? 'DoRA' : 'LoRA'} of rank ${Math.max(...layers.map((layer) => layer.rank))}`;
  // What a DoRA loses is an error of its weights, which depend on the base.
  await writePlain(out, adapter, ownNames(adapter), shrunk.map((each) => each.layer), { ...(hasMagnitudes ? {} : { 'adora.svd_error': overall.toPrecision(4) }), 'adora.svd_of': of, [ALTERED]: `made from a ${of}` });
  const ranks = [...new Set(shrunk.map((each) => each.layer.rank))].sort((a, b) => a - b);
  return { text: `${out}: ${layers.length} layers, rank ${ranks.join(', ')}${hasMagnitudes ? ', the magnitudes as they were' : ''}. ${text}${hasMagnitudes ? ' That is the change before magnitudes; what it is of the weights is told, and written into the file, with --base MODEL.' : ''}`, data: { out, ranks, error: overall, layers: errors } };
}

/** The error is that of the weights, ‖W'' − W'‖ / ‖W' − W‖ with W' = m·(W + B·A) / ‖W + B·A‖, which takes the base. */
async function resizeDora({ file, axis, out }: ResizeRequest, base: string, keep: Keep): Promise<ToolResult> {
  const source = sourceOfFile(file, base, axis);
  const values = new Map(source.values);
  const layers = source.layers.map((layer): SourceLayer => {
    const data = (part: string): Float32Array => source.values.get(`${layer.path}.${part}`)!.data as Float32Array;
    const rows = layer.shape[0]!;
    const pair = pairOf(layer, productSvd(data(UP), data(DOWN), rows, layer.rank, data(DOWN).length / layer.rank, keep));
    for (const [name, tensor] of pair.values) values.set(name, tensor);
    return { ...layer, rank: pair.rank };
  });
  const resized: ExportSource = { ...source, layers, values };
  const { errors, overall, worst } = await errorsOfWeights(source, resized);
  const opened = openAdapter(file);
  // Magnitudes of inputs have no place under PEFT's names.
  const format = source.axis !== null && !opened.format.axes.includes(source.axis) ? formatFor(source.axis) : opened.format;
  await writeAdapter(resized, format, out, { dtype: dtypeOf(opened), note: noteForLayout(resized, format), approximation: { error: overall, of: `DoRA of rank ${Math.max(...source.layers.map(({ rank }) => rank))}` } });
  const ranks = [...new Set(layers.map(({ rank }) => rank))].sort((a, b) => a - b);
  return {
    text: `${out}: ${layers.length} layers, rank ${ranks.join(', ')}, the magnitudes as they were. What is lost is ${percent(overall)} of the change of the weights, at most ${percent(worst.error)} in a layer (${worst.module}).`,
    data: { out, ranks, error: overall, layers: errors },
  };
}

async function errorsOfWeights(before: ExportSource, after: ExportSource): Promise<{ errors: { module: string; rank: number; error: number }[]; overall: number; worst: { module: string; error: number } }> {
  const errors: { module: string; rank: number; error: number }[] = [];
  let [total, lost] = [0, 0];
  for (const [index, layer] of before.layers.entries()) {
    const own = after.layers[index]!;
    const [change, found] = [await changeOf(before, layer), await changeOf(after, own)];
    let [size, missing] = [0, 0];
    for (let i = 0; i < change.length; i++) {
      size += change[i]! ** 2;
      missing += (found[i]! - change[i]!) ** 2;
    }
    errors.push({ module: layer.path, rank: own.rank, error: size > 0 ? Math.sqrt(missing / size) : 0 });
    total += size;
    lost += missing;
  }
  return { errors, overall: total > 0 ? Math.sqrt(lost / total) : 0, worst: errors.reduce((most, each) => (each.error > most.error ? each : most)) };
}
