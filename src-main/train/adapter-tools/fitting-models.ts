// The published models that an adapter file may have been made for, where its base is not at hand.
import type { BaseFacts, NamedModel } from '../../catalog/define/format.ts';
import { detectModel, publishedModels } from '../../catalog/families/index.ts';
import { namedModel } from '../named-model.ts';
import type { AdapterFile } from '../read-adapter.ts';

export interface Candidate {
  readonly label: string;
  readonly named: NamedModel;
  readonly knownAs: Pick<BaseFacts, 'architecture' | 'implementation' | 'kohyaVersion' | 'isVersion2'> & { readonly side: number };
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
