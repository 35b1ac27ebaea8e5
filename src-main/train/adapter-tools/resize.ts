// `adora resize`: a LoRA of another rank, the strongest part of each change, without forming the change.
import { productSvd, type Keep } from '../../base/linear-algebra/svd.ts';
import { UserError } from '../../base/errors.ts';
import { readPlain, writePlain, type PlainLayer } from './plain-layers.ts';

export interface ResizeRequest {
  readonly file: string;
  readonly rank?: number;
  readonly energy?: number;
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
      module: layer.module, rank,
      down: Float32Array.from({ length: rank * columns }, (_, i) => (isEmpty ? 0 : v[i]! * root(Math.floor(i / columns)))),
      up: Float32Array.from({ length: rows * rank }, (_, i) => (isEmpty ? 0 : u[i]! * root(i % rank))),
      downShape: [rank, ...layer.downShape.slice(1)], upShape: [rows, rank, ...layer.upShape.slice(2)],
    },
  };
}

/** Relative error of all layers together and of each, as text and data. */
export function errorsOf(all: readonly Shrunk[]): { readonly overall: number; readonly text: string; readonly layers: readonly unknown[] } {
  const [total, lost] = all.reduce(([a, b], each) => [a + each.total, b + each.lost], [0, 0]);
  const relative = (part: number, whole: number): number => (whole > 0 ? Math.sqrt(part / whole) : 0);
  const layers = all.map((each) => ({ module: each.layer.module, rank: each.layer.rank, error: relative(each.lost, each.total) }));
  const worst = layers.reduce<(typeof layers)[number] | null>((most, each) => (most === null || each.error > most.error ? each : most), null);
  const overall = relative(lost, total);
  const percent = (value: number): string => `${(100 * value).toPrecision(3)} %`;
  return { overall, layers, text: `What is lost is ${percent(overall)} of the change${worst ? `, at most ${percent(worst.error)} in a layer (${worst.module})` : ''}.` };
}

/** Errors: `resize.size`, those of `readPlain` and of writing. */
export async function resizeCommand({ file, rank, energy, out }: ResizeRequest): Promise<ToolResult> {
  if (rank === undefined && energy === undefined) throw new UserError('resize.size', 'Say how large the adapter shall become: --rank 8, or --energy 0.9 for the share of the change that stays.');
  const { adapter, layers } = readPlain(file, 'Make a LoRA of the wanted rank with "adora export FILE --base MODEL --as lora --rank N", which measures the error.');
  const keep: Keep = { ...(rank === undefined ? {} : { rank }), ...(energy === undefined ? {} : { energy }) };
  const shrunk = layers.map((layer) => shrink(layer, keep));
  const { overall, text, layers: errors } = errorsOf(shrunk);
  await writePlain(out, adapter, shrunk.map((each) => each.layer), { 'adora.svd_error': overall.toPrecision(4) });
  const ranks = [...new Set(shrunk.map((each) => each.layer.rank))].sort((a, b) => a - b);
  return { text: `${out}: ${layers.length} layers, rank ${ranks.join(', ')}. ${text}`, data: { out, ranks, error: overall, layers: errors } };
}
