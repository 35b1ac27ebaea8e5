// What each program makes of an adapter file as it stands there: by its layout and axis, by the names and endings that the
// program looks for, and by what it refuses.
import { consumers } from '../catalog/consumers/index.ts';
import { otherFamily } from '../catalog/define/other-families.ts';
import type { DoraAxis, NamedModel, Program } from '../catalog/define/format.ts';
import { verdictsOnFile, type FileVerdict } from '../catalog/programs.ts';
import { say } from '../contract/text.ts';
import { shown } from '../files/safetensors-header.ts';
import { fittingModels } from './adapter-tools/fitting-models.ts';
import type { AdapterFile } from './read-adapter.ts';

/**
 * None for families that Adora does not load: what programs make of their files was not looked into.
 * @param axis of its magnitudes; null: none; undefined: there are magnitudes, and nothing tells along which
 * @param isPlain whether alpha is the rank in all layers
 */
export function verdictsOnAdapter(adapter: AdapterFile, axis: DoraAxis | null | undefined, { isDamaged, isPlain }: { readonly isDamaged: boolean; readonly isPlain: boolean }): FileVerdict[] {
  if (otherFamily(adapter.file.tensors.keys()) !== null) return [];
  const verdicts = verdictsOnFile(adapter.layout, axis);
  if (!verdicts.some(({ exact }) => exact)) return verdicts;
  if (isDamaged) return verdicts.map((verdict) => (verdict.exact ? { ...verdict, exact: false, ...say('program.damaged', 'No program can apply a damaged file.') } : verdict));
  const models = fittingModels([adapter]);
  const model = models.length === 1 ? models[0]!.named : null;
  return verdicts.map((verdict) => (verdict.exact ? { ...verdict, ...objection(verdict, adapter, model, isPlain) } : verdict));
}

function objection({ id, layout }: FileVerdict, adapter: AdapterFile, model: NamedModel | null, isPlain: boolean): Partial<FileVerdict> {
  const { endings, naming, refuses, overlooks } = consumers[id];
  const modules = [...adapter.modules];
  const missed = modules.flatMap(([module, parts]) => [...parts].filter(([part, key]) => endings[part].length > 0 && !endings[part].some((end) => key === `${module}.${end}`)).map(([, key]) => key))[0]
    ?? modules.find(([module]) => !looksFor(id, module, adapter, model))?.[0];
  // Of what diffusers reads besides its own names only those are known.
  if (missed !== undefined && naming === 'dotted') return { exact: null, ...say('program.other-names', `Is given other names of tensors (${layout}); whether it reads these was not checked.`, { layout }) };
  if (missed !== undefined) return { exact: false, ...say('program.unread', `Does not look for names such as ${shown(missed)}.`, { module: missed }) };
  const overlooked = overlooks && modules.flatMap(([, parts]) => [...parts.values()]).find(overlooks);
  if (overlooked !== undefined) return { exact: false, ...say('program.overlooks', `Leaves magnitudes such as ${shown(overlooked)} out, because of their names: convert the file to the layout of PEFT, which gives them names that are found.`, { tensor: overlooked }) };
  // diffusers takes a configuration of PEFT in the file as it is (utils/peft_utils.py: _create_lora_config).
  if (endings.alpha.length === 0 && !isPlain && !adapter.file.metadata.has('lora_adapter_metadata')) return { exact: false, ...say('program.no-alpha', 'Takes alpha for the rank, and this file has another: it shows another strength.') };
  const why = model && refuses?.(modules.map(([module]) => module), model);
  return why ? { exact: false, ...say('program.refuses', `Does not take the file: ${why}.`, { why }) } : {};
}

/** By the published model that the file fits; without one only the names of other tools are told from those of all. */
function looksFor(program: Program, module: string, { format }: AdapterFile, model: NamedModel | null): boolean {
  const { modulesOf } = consumers[program];
  if (model) {
    const path = pathsOf(model, format).get(module);
    return path === undefined || modulesOf(path, model).includes(module);
  }
  const [, name] = /^lycoris_(.+)$/.exec(module) ?? [];
  return name === undefined || modulesOf(`unet.${name}`, { denoiser: 'unet', textEncoders: [], layers: new Map() }).includes(module);
}

const known = new WeakMap<NamedModel, Map<string, string>>();

/** Paths by every spelling of the layout. */
function pathsOf(model: NamedModel, format: AdapterFile['format']): ReadonlyMap<string, string> {
  const found = known.get(model) ?? new Map([...model.layers.keys()].flatMap((path) => format.modulesOf(path, model).map((module) => [module, path] as const)));
  known.set(model, found);
  return found;
}
