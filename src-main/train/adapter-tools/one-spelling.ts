// Adapters that spell the same layers differently (original or diffusers' block names, kohya's or PEFT's layout), brought to one
// spelling: programs that find both in one file leave one of them out, or refuse the file.
import { UserError } from '../../base/errors.ts';
import { familyOfHeader } from '../../catalog/adapter-header.ts';
import type { AdapterFormat, NamedModel } from '../../catalog/define/format.ts';
import { detectModel } from '../../catalog/families/index.ts';
import { namedModel } from '../named-model.ts';
import { openModel } from '../open-model.ts';
import { layersInModel, type AdapterFile } from '../read-adapter.ts';
import type { PlainAdapter } from './plain-layers.ts';
import { fittingModels } from './fitting-models.ts';

/**
 * The same adapters, layers spelled as the first one's layout writes them for the model. Models that are not known keep the
 * files' own spelling, if it is one.
 * @param base the model; without it the published ones that fit all files
 * Errors: `merge.models`, `merge.names`; with a base those of models, `adapter.other-model`, `adapter.incomplete`.
 */
export function inOneSpelling<Own extends PlainAdapter>(read: readonly Own[], base: string | undefined): Own[] {
  const adapters = read.map(({ adapter }) => adapter);
  refuseMixture(adapters);
  const { format } = adapters[0]!;
  const models = base === undefined ? fittingModels(adapters).map(({ named }) => named) : [modelAt(base)];
  const [names, ...others] = models.map((model) => adapters.map((adapter) => namesIn(model, adapter, format)));
  if (names && others.every((other) => JSON.stringify(other) === JSON.stringify(names))) {
    return read.map((each, i) => ({ ...each, layers: each.layers.map((layer, k) => ({ ...layer, module: names[i]![k]! })) }));
  }
  const spellings = adapters.map(spellingOf);
  if ([0, 1, 2].some((aspect) => new Set(spellings.flatMap((each) => each[aspect]!)).size > 1)) {
    throw new UserError('merge.names', `The files spell their layers in different ways (${adapters.map(({ path }, i) => `"${path}": ${spellings[i]!.flat().join(', ')}`).join('; ')}), and nothing tells which layers are the same: name their base model with --base.`, { paths: adapters.map(({ path }) => path) });
  }
  return [...read];
}

/** Error: `merge.models`. */
function refuseMixture(adapters: readonly AdapterFile[]): void {
  const kinds = adapters.flatMap((adapter) => {
    const kind = familyOfHeader(adapter, adapter.file);
    return kind === null ? [] : [{ path: adapter.path, kind }];
  });
  const other = kinds.find(({ kind }) => kind !== kinds[0]!.kind);
  if (other) throw new UserError('merge.models', `"${kinds[0]!.path}" is for ${kinds[0]!.kind} and "${other.path}" for ${other.kind}: only adapters of one kind of model can be merged.`, { paths: [kinds[0]!.path, other.path] });
}

function modelAt(base: string): NamedModel {
  const { files } = openModel(base);
  return namedModel(files, detectModel(files).denoiserComponent);
}

/** The layers' names in the order of the file's layers. */
function namesIn(model: NamedModel, adapter: AdapterFile, format: AdapterFormat): string[] {
  const paths = new Map([...layersInModel(adapter, model)].map(([path, parts]) => [parts, path]));
  return [...adapter.modules.values()].map((parts) => format.modulesOf(paths.get(parts)!, model)[0]!);
}

const BLOCKS: readonly (readonly [RegExp, string])[] = [[/(?:^|[._])(?:input_blocks|middle_block|output_blocks)[._]/, 'original block names'], [/(?:^|[._])(?:down_blocks|mid_block|up_blocks)[._]/, 'block names of diffusers']];

const PREFIX = /^(?:lycoris|diffusion_model|transformer|unet|lora_(?:unet|transformer))(?=[._])/;

/** What tells one way of naming layers from another: the layout, what the names begin with, how they call blocks. */
function spellingOf({ format, modules }: AdapterFile): (readonly string[])[] {
  const names = [...modules.keys()];
  return [[`layout ${format.label}`], [...new Set(names.flatMap((name) => PREFIX.exec(name)?.[0] ?? []))], BLOCKS.flatMap(([pattern, text]) => (names.some((name) => pattern.test(name)) ? [text] : []))];
}
