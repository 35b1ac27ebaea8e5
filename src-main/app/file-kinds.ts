// The kinds of files that a person may choose, by how their names end.

import type { Given } from '../contract/api.ts';

export type FileKind = Given<'files.pick'>['kind'];

/** Null: folders. */
export const EXTENSIONS: Readonly<Record<FileKind, readonly string[] | null>> = {
  folder: null, pictures: ['png', 'jpg', 'jpeg', 'jfif', 'webp', 'avif'], model: ['safetensors', 'sft'], adapter: ['safetensors', 'sft'], tagger: ['onnx'], csv: ['csv'],
  recipe: ['toml', 'json', 'yaml', 'yml'],
};

export const isOfKind = (name: string, kind: FileKind): boolean => EXTENSIONS[kind]?.some((ending) => name.toLowerCase().endsWith(`.${ending}`)) === true;
