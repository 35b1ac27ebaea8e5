// `adora extract`: the difference of two checkpoints as a LoRA, with what is missing measured in each layer.
import { basename } from 'node:path';
import { truncatedSvd } from '../../base/linear-algebra/svd.ts';
import { UserError } from '../../base/errors.ts';
import { sameShape } from '../../base/shape.ts';
import type { NamedModel } from '../../catalog/define/format.ts';
import { detectModel } from '../../catalog/families/index.ts';
import { formats } from '../../catalog/formats/index.ts';
import type { TrainEventBody } from '../../contract/events.ts';
import { baseFacts, fileStem, kindOf, type ExportSource, type SourceLayer } from '../export-source.ts';
import type { FileDType } from '../export-values.ts';
import { namedModel } from '../named-model.ts';
import { openModel, type OpenModel } from '../open-model.ts';
import type { HostTensor } from '../../runtime/runtime.ts';
import { writeAdapter } from '../write-adapter.ts';
import { pairOf } from './pair-of.ts';
import type { ToolResult } from './resize.ts';

export interface ExtractRequest {
  readonly base: string;
  readonly tuned: string;
  readonly rank: number;
  readonly layout: string;
  readonly dtype: FileDType;
  readonly out: string;
}

interface Context {
  readonly onEvent: (event: TrainEventBody) => void;
  readonly shouldStop: () => boolean;
}

/** Errors: `extract.other-model`, `extract.same`, `extract.not-finite`, `extract.stopped`, `convert.layout`, those of models and of writing. */
export async function extractCommand({ base, tuned, rank, layout, dtype, out }: ExtractRequest, { onEvent, shouldStop }: Context): Promise<ToolResult> {
  const format = Object.hasOwn(formats, layout) ? formats[layout] : undefined;
  if (!format) throw new UserError('convert.layout', `There is no layout "${layout}": choose ${Object.keys(formats).join(' or ')}.`, { layout });
  const [before, after] = [openModel(base), openModel(tuned)];
  const model = detectModel(before.files);
  const named = namedModel(before.files, model.denoiserComponent);
  const other = namedModel(after.files, detectModel(after.files).denoiserComponent);
  const values = new Map<string, HostTensor>();
  const layers: SourceLayer[] = [];
  const errors: { layer: string; error: number }[] = [];
  let [total, lost, seen] = [0, 0, 0];
  for (const [path, shape] of named.layers) {
    onEvent({ kind: 'phase', name: 'compare', done: seen++, total: named.layers.size, unit: 'layers' });
    if (shouldStop()) throw new UserError('extract.stopped', 'Extracting was stopped; nothing was written.');
    const theirs = other.layers.get(path);
    // One of the two may lack text encoders.
    if (!theirs || format.keyOf(path, 'lora_A.weight', named) === null || /embedding/.test(path) && !/(?:time|add)_embedding/.test(path)) continue;
    if (!sameShape(theirs, shape)) throw new UserError('extract.other-model', `"${path}" has other shapes in "${tuned}" than in "${base}": the two are not of one kind.`, { path });
    const [own, changed] = [before.readF32(`${path}.weight`), after.readF32(`${path}.weight`)];
    const change = Float64Array.from(own, (value, i) => changed[i]! - value);
    if (!change.every(Number.isFinite)) throw new UserError('extract.not-finite', `"${path}.weight" holds values that are not numbers in "${own.every(Number.isFinite) ? tuned : base}": the training or merge that made the file failed, use an earlier one.`, { path });
    const svd = await truncatedSvd(change, shape[0]!, change.length / shape[0]!, { rank });
    if (svd.total === 0) continue;
    const pair = pairOf({ path, shape }, svd);
    for (const [name, tensor] of pair.values) values.set(name, tensor);
    layers.push({ path, shape, rank: pair.rank, kind: shape.length === 2 ? 'linear' : 'conv' });
    errors.push({ layer: path, error: Math.sqrt(pair.lost / svd.total) });
    total += svd.total;
    lost += pair.lost;
  }
  onEvent({ kind: 'phase', name: 'compare', done: seen, total: named.layers.size, unit: 'layers' });
  if (layers.length === 0) throw new UserError('extract.same', `No layer of "${tuned}" differs from "${base}": there is nothing to extract.`, { base, tuned });
  const rest = besides(before, after, named, new Set(layers.map(({ path }) => path)));
  const title = basename(tuned).replace(/\.safetensors$/, '');
  const source: ExportSource = {
    stem: fileStem({ name: title }), model, baseModel: before, named, layers, axis: null, scale: 1, values,
    facts: async () => ({ title, kind: kindOf(null), axis: null, rank, alpha: rank, trigger: '', base: await baseFacts(base, model, before, layers), training: null, data: null }),
  };
  const error = Math.sqrt(lost / total);
  await writeAdapter(source, format, out, { dtype, note: '', approximation: { error, of: 'a checkpoint' } });
  const worst = errors.reduce((most, each) => (each.error > most.error ? each : most));
  const share = Math.sqrt(rest.size / (total + rest.size));
  const others = rest.names.length === 0 ? '' : ` Not in the file, because a LoRA has no place for them: ${rest.names.length} tensors that differ too (norms, biases, embeddings; first "${rest.names[0]!}"), ${(100 * share).toPrecision(3)} % of the whole difference.`;
  const absent = rest.absent.length === 0 ? '' : ` Only one of the two has ${rest.absent.join(', ')}, which is left out.`;
  return {
    text: `${out}: ${layers.length} layers that differ, rank ${rank}. What is lost is ${(100 * error).toPrecision(3)} % of their difference, at most ${(100 * worst.error).toPrecision(3)} % in a layer (${worst.layer}).${others}${absent}`,
    data: { out, rank, error, layers: errors, others: rest.names, othersShare: rest.names.length === 0 ? 0 : share, absent: rest.absent },
  };
}

/** What differs besides the layers of the file, and components that only one of the models has. */
function besides(before: OpenModel, after: OpenModel, { denoiser, textEncoders }: NamedModel, layers: ReadonlySet<string>): { readonly names: readonly string[]; readonly size: number; readonly absent: readonly string[] } {
  const parts = [denoiser, ...new Set([...textEncoders, ...[...after.files.keys()].filter((name) => name.startsWith('text_encoder'))])];
  const names: string[] = [];
  let size = 0;
  for (const part of parts) {
    for (const [key, { shape, dtype }] of before.files.get(part)?.tensors ?? []) {
      const theirs = after.files.get(part)?.tensors.get(key);
      if (layers.has(`${part}.${key.replace(/\.weight$/, '')}`) || !theirs || !sameShape(theirs.shape, shape) || !/^b?f(?:16|32|64)$/.test(dtype)) continue;
      const [own, changed] = [before.readF32(`${part}.${key}`), after.readF32(`${part}.${key}`)];
      const difference = own.reduce((sum, value, i) => sum + (changed[i]! - value) ** 2, 0);
      if (difference > 0) names.push(`${part}.${key}`);
      size += difference;
    }
  }
  return { names, size, absent: parts.filter((part) => (before.files.get(part)?.tensors.size ?? 0) > 0 !== (after.files.get(part)?.tensors.size ?? 0) > 0) };
}
