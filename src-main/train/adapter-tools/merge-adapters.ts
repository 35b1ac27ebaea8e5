// `adora merge`: one adapter that does what several do together, each with its strength.
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { truncatedSvd } from '../../base/linear-algebra/svd.ts';
import { UserError } from '../../base/errors.ts';
import { isDora } from '../../catalog/adapter-header.ts';
import type { DoraAxis } from '../../catalog/define/format.ts';
import { formats } from '../../catalog/formats/index.ts';
import { shown } from '../../files/safetensors-header.ts';
import { changeOf } from '../export-lora.ts';
import { kindOf, sourceOfFile, type ExportSource, type SourceLayer } from '../export-source.ts';
import { openAdapter } from '../read-adapter.ts';
import { writeAdapter } from '../write-adapter.ts';
import { dtypeOf, readPlain, sameWeight, writePlain, type PlainLayer } from './plain-layers.ts';
import { errorsOf, shrink, type ToolResult } from './resize.ts';
import { inOneSpelling } from './one-spelling.ts';
import { pairOf } from './pair-of.ts';

export interface MergeRequest {
  /** `FILE` or `FILE:strength`. */
  readonly files: readonly string[];
  readonly rank?: number;
  readonly base?: string;
  /** What magnitudes belong to, where a file leaves it open. */
  readonly axis?: DoraAxis;
  readonly out: string;
}

interface Part {
  readonly path: string;
  readonly strength: number;
}

/** Errors: `merge.files`, `merge.strength`, `merge.models`, `merge.names`, `merge.shape`, `merge.needs-base`, `merge.needs-rank`, those of reading and writing. */
export async function mergeCommand({ files, rank, base, axis, out }: MergeRequest): Promise<ToolResult> {
  const parts = files.map(partOf);
  if (parts.length === 0) throw new UserError('merge.files', 'Name the adapters to merge: adora merge one.safetensors:0.7 two.safetensors:0.5 --out both.safetensors');
  const hasDora = parts.some(({ path }) => isDora(openAdapter(path)));
  if (!hasDora) return mergePlain(parts, rank, base, out);
  if (base === undefined) throw new UserError('merge.needs-base', 'One of the adapters is a DoRA: what it changes depends on the base weights. Name them with --base MODEL, and the rank of the LoRA that comes out with --rank N.');
  if (rank === undefined) throw new UserError('merge.needs-rank', 'A DoRA changes weights with full rank, so that the LoRA that comes out is an approximation: choose its size with --rank, four times that of the DoRA for example.');
  return mergeChanges(parts, rank, base, axis, out);
}

/** Error: `merge.strength`. */
function partOf(text: string): Part {
  const [, path, strength] = /^(.*?)(?::([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?))?$/is.exec(text)!;
  const [, file, word] = /^(.+):([^:/\\]*)$/s.exec(path!) ?? [];
  if (strength === undefined && file !== undefined && !existsSync(path!) && existsSync(file)) {
    throw new UserError('merge.strength', `"${word}" after "${file}" is not a number: give the strength as in ${basename(file)}:0.7.`, { file, strength: word });
  }
  return { path: path!, strength: strength === undefined ? 1 : Number(strength) };
}

const MERGED = 'merged adapters';

/** Texts about the base model and the kind of file; how one of several was trained says nothing of their sum. */
const OF_BASE = /^(?:format|modelspec\.(?:sai_model_spec|architecture|implementation|resolution|prediction_type)|ss_(?:v2|base_model_version|sd_model_(?:name|hash)|new_sd_model_hash|network_(?:module|args))|adora\.(?:kind|base|base_sha256(?:\..+)?))$/;

/** What a sum of adapters is called, what it came of, and the words that call up each of them. */
function mergedTexts(out: string, parts: readonly Part[], files: readonly ReadonlyMap<string, string>[]): Record<string, string> {
  const title = basename(out).replace(/\.safetensors$/, '');
  const from = parts.map(({ path, strength }) => `${basename(path).replace(/\.safetensors$/, '')}:${strength}`).join(', ');
  const words = triggersOf(files);
  return {
    'modelspec.title': title, ss_output_name: title, 'modelspec.merged_from': from, 'adora.merged_from': from,
    ...(words === '' ? {} : { 'modelspec.trigger_phrase': words, 'modelspec.usage_hint': words, 'adora.trigger': words }),
  };
}

const triggersOf = (files: readonly ReadonlyMap<string, string>[]): string =>
  [...new Set(files.flatMap((texts) => texts.get('modelspec.trigger_phrase') ?? texts.get('modelspec.usage_hint') ?? []).filter((text) => text.trim() !== ''))].join(', ').slice(0, 1000);

/** Σ sᵢ·Bᵢ·Aᵢ = [s₁B₁ s₂B₂ …]·[A₁; A₂; …]: ranks add up, nothing is lost. */
async function mergePlain(parts: readonly Part[], rank: number | undefined, base: string | undefined, out: string): Promise<ToolResult> {
  const read = inOneSpelling(parts.map(({ path, strength }) => ({ ...readPlain(path), strength })), base);
  const [{ adapter: first }] = read as [(typeof read)[number]];
  const byModule = new Map<string, PlainLayer[]>();
  for (const { layers, strength, adapter: { path } } of read) {
    for (const layer of layers) {
      const known = byModule.get(layer.module) ?? [];
      if (known[0] && !sameWeight(known[0], layer)) throw new UserError('merge.shape', `"${shown(layer.module)}" in "${path}" has another shape than in "${first.path}": they were made for different models.`, { path, module: layer.module });
      byModule.set(layer.module, [...known, { ...layer, up: layer.up.map((value) => value * strength) }]);
    }
  }
  const joined = [...byModule.values()].map(joinedLayer);
  const done = joined.map((layer) => (rank === undefined ? { layer, total: 0, lost: 0 } : shrink(layer, { rank })));
  const { overall, text } = errorsOf(done);
  const texts = { ...mergedTexts(out, parts, read.map(({ adapter }) => adapter.file.metadata)), ...(rank === undefined ? {} : { 'adora.svd_error': overall.toPrecision(4), 'adora.svd_of': MERGED }) };
  await writePlain(out, first, first.format.tensorName, done.map(({ layer }) => layer), texts, (name) => OF_BASE.test(name));
  const ranks = [...new Set(done.map(({ layer }) => layer.rank))].sort((a, b) => a - b);
  return { text: `${out}: ${done.length} layers, rank ${ranks.join(', ')}. ${rank === undefined ? 'The sum is exact.' : text}`, data: { out, ranks, layers: done.length, error: rank === undefined ? 0 : overall } };
}

function joinedLayer(layers: readonly PlainLayer[]): PlainLayer {
  const [first] = layers;
  const rank = layers.reduce((sum, layer) => sum + layer.rank, 0);
  const rows = first!.upShape[0]!;
  const up = new Float32Array(rows * rank);
  let at = 0;
  for (const layer of layers) {
    for (let row = 0; row < rows; row++) up.set(layer.up.subarray(row * layer.rank, (row + 1) * layer.rank), row * rank + at);
    at += layer.rank;
  }
  const down = new Float32Array(layers.reduce((sum, layer) => sum + layer.down.length, 0));
  let start = 0;
  for (const layer of layers) {
    down.set(layer.down, start);
    start += layer.down.length;
  }
  return { module: first!.module, rank, down, downShape: [rank, ...first!.downShape.slice(1)], up, upShape: [rows, rank, ...first!.upShape.slice(2)], magnitude: null };
}

/** Changes of the weights, added up as strength·(W' − W0), as one LoRA. */
async function mergeChanges(parts: readonly Part[], rank: number, base: string, axis: DoraAxis | undefined, out: string): Promise<ToolResult> {
  const sources = parts.map(({ path, strength }) => ({ source: sourceOfFile(path, base, axis), strength }));
  const layers = new Map<string, SourceLayer>();
  for (const { source } of sources) for (const layer of source.layers) layers.set(layer.path, layer);
  const values = new Map<string, ReturnType<typeof pairOf>['values'][number][1]>();
  const written: SourceLayer[] = [];
  let [total, lost] = [0, 0];
  for (const layer of layers.values()) {
    const sum = new Float64Array(layer.shape.reduce((a, b) => a * b, 1));
    for (const { source, strength } of sources) {
      const own = source.layers.find(({ path }) => path === layer.path);
      if (!own) continue;
      (await changeOf(source, own)).forEach((value, i) => { sum[i]! += strength * value; });
    }
    const svd = await truncatedSvd(sum, layer.shape[0]!, sum.length / layer.shape[0]!, { rank });
    const pair = pairOf(layer, svd);
    for (const [name, tensor] of pair.values) values.set(name, tensor);
    written.push({ ...layer, rank: pair.rank });
    total += svd.total;
    lost += pair.lost;
  }
  const first = sources[0]!.source;
  const error = total > 0 ? Math.sqrt(lost / total) : 0;
  const source: ExportSource = { ...first, layers: written, values, axis: null, scale: 1, facts: async () => {
    const { base: ofBase } = await first.facts();
    const texts = mergedTexts(out, parts, parts.map(({ path }) => openAdapter(path).file.metadata));
    return { title: texts['modelspec.title']!, trigger: texts['adora.trigger'] ?? '', base: ofBase, kind: kindOf(null), axis: null, rank, alpha: rank, training: null, data: null, carried: texts };
  } };
  const opened = openAdapter(parts[0]!.path);
  await writeAdapter(source, formats[opened.layout]!, out, { dtype: dtypeOf(opened), note: '', approximation: { error, of: MERGED } });
  return { text: `${out}: a LoRA of ${written.length} layers, rank ${rank}. What is lost is ${(100 * error).toPrecision(3)} % of the change.`, data: { out, rank, layers: written.length, error } };
}
