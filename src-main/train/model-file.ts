// A model from single files: a checkpoint with all parts, or one file per part.
import { UserError } from '../base/errors.ts';
import type { BareModel, BarePart } from '../catalog/define/family.ts';
import { configureModel } from '../catalog/families/index.ts';
import { openWeights } from '../files/sharded.ts';
import type { WeightFile } from '../files/weight-file.ts';
import { barePart, findParts, folderConfig, folderFiles, isSuperfluous, refuseQuantised, type FoundParts } from '../nn/checkpoint-parts.ts';
import { isUnusedText } from '../nn/clip-keys.ts';
import type { Parameters } from '../nn/tensor-layout.ts';

/** A part of a model, with the file that holds its weights; a part without weights has no file. */
export interface OpenComponent {
  readonly config: Readonly<Record<string, unknown>>;
  readonly file: WeightFile | null;
  readonly parameters: Parameters;
}

/** What a person names as a base model. */
export interface BaseFiles {
  /** Folder in the diffusers layout, a checkpoint, or a UNet. */
  readonly model: string;
  /** File with an autoencoder that is used instead of the model's own. */
  readonly vae?: string;
  /** Files with text encoders that are used instead of the model's own. */
  readonly textEncoders?: readonly string[];
}

/** Part of a file, as the families see it. */
export interface FilePart extends BarePart {
  readonly file: WeightFile;
  readonly parameters: Parameters;
}

export interface OpenedFiles {
  readonly components: ReadonlyMap<string, OpenComponent>;
  /** Tensors that belong to no part and are not known to be superfluous. */
  readonly unused: readonly string[];
  /** Contents of the small files of a folder by `<component>/<name>`, or null when absent. */
  readonly readText: (name: string) => string | null;
}

/**
 * Opens a checkpoint in the original layout (LDM), or a UNet by itself in either naming, and what stands beside it.
 * Errors: `model.quantised`, those of `configureModel`, of the files, and `model.no-part` for a file without the part it is
 * named for.
 */
export function openModelFile({ model, vae, textEncoders = [] }: BaseFiles): OpenedFiles {
  const file = openWeights(model);
  refuseQuantised(file);
  const found = findParts(file.tensors);
  const own = partOf(file);
  const unet = found.unet && own(found.unet);
  const vaePart = vae === undefined ? found.vae && own(found.vae) : openVae(vae);
  const text = [...textEncoders.flatMap(openTexts), ...found.text.map(own)];
  const texts = folderFiles(file);
  const parts = texts.size > 0 ? withTexts(texts, { unet, vae: vaePart, text }) : configured(file, { unet, vae: vaePart, text }, found);
  const unused = found.rest.filter((name) => !isSuperfluous(name));
  return { components: parts, unused, readText: (name) => texts.get(name) ?? null };
}

interface Parts {
  readonly unet: FilePart | null;
  readonly vae: FilePart | null;
  readonly text: readonly FilePart[];
}

function configured(file: WeightFile, parts: Parts, { rest }: FoundParts): Map<string, OpenComponent> {
  const bare: BareModel = { ...parts, markers: new Set(rest), metadata: file.metadata };
  return new Map([...configureModel(bare, [...file.tensors.keys()], file.path).parts].map(([component, { config, part, isUnused }]) => {
    const source = part as FilePart | null;
    const parameters = new Map([...(source?.parameters ?? [])].filter(([key]) => !isUnused?.(key)));
    return [component, { config, file: source?.file ?? null, parameters }];
  }));
}

/** A file that says itself what it is: any configuration that a folder may have. */
function withTexts(texts: ReadonlyMap<string, string>, { unet, vae, text }: Parts): Map<string, OpenComponent> {
  const sources: Readonly<Record<string, FilePart | null | undefined>> = { unet, vae, text_encoder: text[0], text_encoder_2: text[1] };
  return new Map(['unet', 'vae', 'text_encoder', 'text_encoder_2', 'scheduler'].flatMap((component): [string, OpenComponent][] => {
    const config = folderConfig(texts, component);
    return config ? [[component, componentOf(config, sources[component] ?? null, component.startsWith('text_encoder'))]] : [];
  }));
}

/** A part of a file with the configuration that it is to have. */
export function componentOf(config: OpenComponent['config'], part: FilePart | null, isText: boolean): OpenComponent {
  const isUnused = isText ? isUnusedText(config) : () => false;
  return { config, file: part?.file ?? null, parameters: new Map([...(part?.parameters ?? [])].filter(([key]) => !isUnused(key))) };
}

const partOf = (file: WeightFile) => (parameters: Parameters): FilePart => barePart(file, parameters);

/** The autoencoder in a file: by itself in either naming, or inside a checkpoint. Error: `model.no-part`. */
export function openVae(path: string): FilePart {
  const file = openWeights(path);
  refuseQuantised(file);
  const { vae } = findParts(file.tensors);
  if (!vae) throw new UserError('model.no-part', `base.vae names "${path}", which holds no autoencoder (no tensor "decoder.mid.block_1.norm1.weight" or "decoder.mid_block.resnets.0.norm1.weight"): choose another file.`, { path });
  return partOf(file)(vae);
}

/** The text encoders in a file. Error: `model.no-part`. */
export function openTexts(path: string): FilePart[] {
  const file = openWeights(path);
  refuseQuantised(file);
  const { text } = findParts(file.tensors);
  if (text.length === 0) throw new UserError('model.no-part', `base.textEncoders names "${path}", which holds no text encoder of CLIP (no tensor "text_model.embeddings.token_embedding.weight" or "transformer.resblocks.0.ln_1.weight"): choose another file.`, { path });
  return text.map(partOf(file));
}
