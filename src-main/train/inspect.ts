// `adora inspect FILE`: what a file or model folder holds, from headers and, for adapters, the norms of the layers.
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../base/errors.ts';
import { showShape, sizeOf } from '../base/shape.ts';
import { otherAdapter } from '../catalog/define/foreign-keys.ts';
import { otherFamily } from '../catalog/define/other-families.ts';
import { detectModel } from '../catalog/families/index.ts';
import { say } from '../contract/text.ts';
import { shown } from '../files/safetensors-header.ts';
import { openWeights } from '../files/sharded.ts';
import type { WeightFile } from '../files/weight-file.ts';
import { listCheckpoints } from './checkpoint.ts';
import { inspectAdapter } from './inspect-adapter.ts';
import { told, type InspectResult, type Told } from './inspect-facts.ts';
import { openModel } from './open-model.ts';
import { readRunJob } from './open-run.ts';
import { adapterOfFile, adapterPath } from './read-adapter.ts';

export interface InspectRequest {
  readonly file: string;
  /** List every tensor. */
  readonly tensors: boolean;
}

/** Errors: `inspect.missing`, `inspect.other-file`, `inspect.other-folder`, those of the files. */
export async function inspectCommand({ file: named, tensors }: InspectRequest): Promise<InspectResult> {
  if (!existsSync(named)) throw new UserError('inspect.missing', `There is nothing at "${named}": ${WANTED}.`, { file: named });
  if (existsSync(join(named, 'job.json'))) return inspectRun(named);
  const file = adapterPath(named);
  checkKind(file);
  if (statSync(file).isDirectory() && !isComponent(file)) return inspectModel(file);
  const weights = openWeights(file);
  const adapter = adapterOfFile(file, weights);
  const found = adapter ? inspectAdapter(adapter) : inspectUnread(weights) ?? inspectCheckpoint(file, weights);
  if (!tensors) return found;
  const lines = [...weights.tensors].map(([name, { dtype, shape }]) => `  ${shown(name)}  ${dtype} ${showShape(shape)}`);
  return { ...found, text: [found.text, ...lines].join('\n'), data: { ...(found.data as object), tensors: Object.fromEntries(weights.tensors) } };
}

const WANTED = 'give a checkpoint or adapter (.safetensors), a model folder, or the folder of a run';

/** First bytes of files that people take for weights. */
const KINDS: readonly (readonly [start: readonly number[], kind: string])[] = [
  [[0x89, 0x50, 0x4e, 0x47], 'a picture (PNG)'], [[0xff, 0xd8, 0xff], 'a picture (JPEG)'], [[0x47, 0x49, 0x46, 0x38], 'a picture (GIF)'], [[0x52, 0x49, 0x46, 0x46], 'a picture or sound (RIFF)'],
  [[0x47, 0x47, 0x55, 0x46], 'a quantized model (GGUF), which Adora cannot open'],
];
/** Names of files with pickled weights, which have a sentence of their own. */
const PICKLED = /\.(?:ckpt|pt|pth|bin)$/i;

/** Errors: `inspect.other-file`, `inspect.other-folder`. */
function checkKind(path: string): void {
  const refuse = (what: string): never => {
    throw new UserError('inspect.other-file', `"${path}" is ${what}, and inspect tells about weights: ${WANTED}.`, { path, what });
  };
  if (statSync(path).isDirectory()) {
    const names = readdirSync(path);
    if (names.length === 0) throw new UserError('inspect.other-folder', `"${path}" is an empty folder: ${WANTED}.`, { path });
    const files = names.filter((name) => name.endsWith('.safetensors'));
    const hasParts = names.some((name) => existsSync(join(path, name, 'config.json'))) || names.includes('config.json') || names.includes('model_index.json');
    if (!hasParts && files.length > 0 && !isComponent(path)) throw new UserError('inspect.other-folder', `"${path}" is a folder of weight files and no model: name one of them, such as "${join(path, files[0]!)}".`, { path, files: files.slice(0, 100) });
    if (!hasParts && files.length === 0) throw new UserError('inspect.other-folder', `"${path}" holds no model (no folder such as "unet" with a config.json) and no .safetensors file: ${WANTED}.`, { path });
    return;
  }
  const start = firstBytes(path);
  if (start.length === 0) refuse('an empty file');
  const known = KINDS.find(([bytes]) => bytes.every((byte, i) => start[i] === byte));
  if (known) refuse(known[1]);
  // A zip: what PyTorch writes, whatever it is called.
  if (!PICKLED.test(path) && start[0] === 0x50 && start[1] === 0x4b) refuse('a zip or a pickled PyTorch file, which can run hidden programs when it is opened');
  if (path.endsWith('.json') && !readFileSync(path, 'utf8').includes('"weight_map"')) refuse('a JSON file that lists no weights');
  if (/\.(?:toml|ya?ml|txt|csv)$/i.test(path)) refuse('a text file');
}

function firstBytes(path: string): Buffer {
  const handle = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(4);
    return bytes.subarray(0, readSync(handle, bytes, 0, 4, 0));
  } finally {
    closeSync(handle);
  }
}

const isComponent = (folder: string): boolean => {
  try {
    openWeights(folder);
    return true;
  } catch (error) {
    if (error instanceof UserError && error.code === 'files.no-weights') return false;
    throw error;
  }
};

/** The first line is the head of the others. */
const together = (rows: readonly Told[]): Pick<InspectResult, 'text' | 'facts'> =>
  ({ text: rows.map(({ line }, at) => (at === 0 ? line : `  ${line}`)).join('\n'), facts: rows.map(({ fact }) => fact) });

function inspectRun(folder: string): InspectResult {
  const job = readRunJob(folder);
  const checkpoints = listCheckpoints(join(folder, 'checkpoints')).map(({ step }) => step);
  const exportsFolder = join(folder, 'exports');
  const exported = existsSync(exportsFolder) ? readdirSync(exportsFolder) : [];
  const what = job.task === 'adapter' ? job.adapter.kind : job.task;
  const none = say('inspect.none', 'none yet');
  return { ...together([
    told('run', `Run "${shown(job.name)}"`, say('inspect.run.what', `${what} on ${shown(job.base.model)}, ${job.train.steps} steps`, { what, model: job.base.model, steps: job.train.steps }), { name: job.name }),
    told('checkpoints', 'checkpoints', checkpoints.join(', ') || none), told('exports', 'exports', exported.map(shown).join(', ') || none),
  ]), data: { what: 'run', name: job.name, kind: what, steps: job.train.steps, checkpoints, exports: exported } };
}

function inspectModel(path: string): InspectResult {
  const { files } = openModel(path, true);
  const model = detectModel(files);
  const parts = [...files].filter(([, { tensors }]) => tensors.size > 0).map(([name, { tensors }]) => {
    const all = [...tensors.values()];
    return { name, tensors: all.length, parameters: all.reduce((sum, { shape }) => sum + sizeOf(shape), 0), dtypes: [...new Set(all.map(({ dtype }) => dtype))] };
  });
  const rows = parts.map(({ name, parameters, dtypes }) => told('part', name, say('inspect.part.size', `${parameters.toLocaleString('en')} parameters, ${dtypes.join(', ')}`, { parameters, dtypes }), { name }));
  const { prediction, zeroTerminalSnr } = files.has('scheduler') ? model.noise : { prediction: 'epsilon' as const, zeroTerminalSnr: false };
  const predicts = say('inspect.predicts.what', `${prediction === 'v_prediction' ? 'v' : 'the noise (epsilon)'}${zeroTerminalSnr ? ', zero terminal SNR' : ''}`, { prediction, zeroTerminalSnr });
  const noise = files.has('scheduler') ? [told('predicts', 'predicts', predicts, {}, `predicts ${predicts.text}`)] : [];
  const lacks = model.lacks.length > 0 ? [told('lacks', 'must come from other files', model.lacks.join(', '))] : [];
  const data = { what: 'model', label: model.label, family: model.family, parts, lacks: model.lacks, ...(files.has('scheduler') ? { prediction, zeroTerminalSnr } : {}) };
  return { ...together([told('model', 'Model', say('inspect.model.label', model.label, { family: model.family })), ...rows, ...noise, ...lacks]), data };
}

/** An adapter that Adora cannot apply, by its kind or family; null for something else. */
function inspectUnread(weights: WeightFile): InspectResult | null {
  const [stranger, kind] = [otherFamily(weights.tensors.keys()), otherAdapter(weights.tensors.keys())];
  if (stranger === null && kind === null) return null;
  const what = [...(kind === null ? ['an adapter'] : [kind.text]), ...(stranger === null ? [] : [`for ${stranger}`])].join(' ');
  const { data, facts, text } = inspectWeights(weights);
  const { fact, line } = told('unread', 'adapter', say('inspect.unread.what', `${what}, which Adora cannot apply: it reads LoRA and DoRA for Stable Diffusion 1.x, 2.x and XL`, { kind: kind?.label ?? null, family: stranger }));
  return { text: `${text}\n  ${line}`, data: { ...(data as object), what: 'other adapter', kind: kind?.label ?? null, family: stranger }, facts: [...facts, fact] };
}

/** A base model in one file; any other weights with the reason why they are none. */
function inspectCheckpoint(path: string, weights: WeightFile): InspectResult {
  if (weights.metadata.has('adora.checkpoint') || statSync(path).isDirectory() || path.endsWith('.json')) return inspectWeights(weights);
  try {
    return inspectModel(path);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const { text, data, facts } = inspectWeights(weights);
    const { fact, line } = told('no-base', 'no base model', say(error.code, error.message, { ...error.data }));
    return { text: `${text}\n  ${line}`, data: { ...(data as object), reason: error.message }, facts: [...facts, fact] };
  }
}

function inspectWeights({ tensors, metadata }: WeightFile): InspectResult {
  const all = [...tensors.values()];
  const parameters = all.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const dtypes = [...new Set(all.map(({ dtype }) => dtype))];
  const state = metadata.get('adora.checkpoint');
  const what = state === undefined ? 'weights' : 'checkpoint of a run';
  const step = state === undefined ? null : (JSON.parse(state) as { step: number }).step;
  const size = say('inspect.weights.size', `${all.length} tensors, ${parameters.toLocaleString('en')} numbers, ${dtypes.join(', ')}`, { tensors: all.length, parameters, dtypes });
  const row = what === 'weights' ? told('weights', 'Weights', size) : told('checkpoint', `Checkpoint of a run, step ${step}`, size, { step });
  return { ...together([row]), data: { what, step, tensors: all.length, parameters, dtypes } };
}
