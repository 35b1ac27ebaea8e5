// An adapter file whose base model is not at hand: its layers as the published model has them that it was made for.
import { UserError } from '../../base/errors.ts';
import type { BaseFacts, DoraAxis, NamedModel } from '../../catalog/define/format.ts';
import { detectModel, publishedModels } from '../../catalog/families/index.ts';
import { factsOfFile, layersOf } from '../export-source.ts';
import { namedModel } from '../named-model.ts';
import { openAdapter, readAdapter, type AdapterFile } from '../read-adapter.ts';
import type { WritableSource } from '../write-adapter.ts';

/** What a file lacks that was written without its base. */
export const WITHOUT_BASE = 'Without --base the file says of its base model what the adapter said of it, and no more.';

export interface Candidate {
  readonly label: string;
  readonly named: NamedModel;
  readonly knownAs: Pick<BaseFacts, 'architecture' | 'implementation' | 'kohyaVersion' | 'isVersion2'> & { readonly side: number };
}

/** Errors: `convert.needs-base` where no published model, or more than one, has the layers; those of `readAdapter`. */
export function sourceWithoutBase(path: string, axis?: DoraAxis): WritableSource {
  const { named, knownAs } = publishedBase(openAdapter(path));
  const read = readAdapter(path, named, axis);
  const layers = layersOf(read, named);
  const hash = read.metadata.get('ss_new_sd_model_hash');
  const base: BaseFacts = {
    ...knownAs, name: read.metadata.get('adora.base') ?? read.metadata.get('ss_sd_model_name') ?? '', hashes: new Map(),
    prediction: predictionOf(read.metadata.get('modelspec.prediction_type')), fileHash: hash !== undefined && /^[0-9a-f]{64}$/.test(hash) ? hash : null,
  };
  return { layers, named, axis: read.axis, scale: 1, values: read.values, facts: async () => ({ ...factsOfFile(path, read.metadata, read.axis, layers), base }) };
}

const predictionOf = (said: string | undefined): BaseFacts['prediction'] => (said === 'epsilon' ? 'epsilon' : said === 'v' ? 'v_prediction' : null);

/** The one published model that has every layer of the file with its shapes. */
function publishedBase(adapter: AdapterFile): Candidate {
  const best = fittingModels([adapter]);
  if (best.length === 1) return best[0]!;
  const why = best.length === 0 ? 'has layers that no published model has in these shapes' : `fits several kinds of models (${best.map(({ label }) => label).join(', ')})`;
  throw new UserError('convert.needs-base', `"${adapter.path}" ${why}: name its base model with --base.`, { path: adapter.path, kinds: best.map(({ label }) => label) });
}

/** Published models that have every layer of all files with its shapes; the layouts' own spelling decides between several. */
export function fittingModels(adapters: readonly AdapterFile[]): Candidate[] {
  const fitting = publishedModels().flatMap(({ label, files }): (Candidate & { readonly usual: number })[] => {
    const model = detectModel(files);
    const named = namedModel(files, model.denoiserComponent);
    const counts = adapters.map((adapter) => usualNames(adapter, named));
    return counts.includes(null) ? [] : [{ label, named, knownAs: { ...model.knownAs, side: model.nativeSide }, usual: counts.reduce<number>((sum, count) => sum + count!, 0) }];
  });
  const most = Math.max(...fitting.map(({ usual }) => usual));
  return fitting.filter(({ usual }) => usual === most);
}

/** How many layers have the name that is written for this model; null when one has no place in it. */
function usualNames({ format, modules, file }: AdapterFile, named: NamedModel): number | null {
  const shapes = new Map([...named.layers].flatMap(([path, shape]) => format.modulesOf(path, named).map((module, i) => [module, { shape, isUsual: i === 0 }] as const)));
  let usual = 0;
  for (const [module, parts] of modules) {
    const found = shapes.get(module);
    const down = parts.get('lora_A.weight');
    const up = parts.get('lora_B.weight');
    if (!found || (down !== undefined && file.tensors.get(down)!.shape[1] !== found.shape[1]) || (up !== undefined && file.tensors.get(up)!.shape[0] !== found.shape[0])) return null;
    if (found.isUsual) usual++;
  }
  return usual;
}
