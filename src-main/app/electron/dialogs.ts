// The system's own dialogs and file manager.

import { dialog, shell, type OpenDialogOptions } from 'electron';

import type { Desktop } from '../studio-context.ts';

type Properties = NonNullable<OpenDialogOptions['properties']>;

const FILTERS: Readonly<Record<string, { readonly name: string; readonly extensions: string[] }>> = {
  pictures: { name: 'Pictures and captions', extensions: ['png', 'jpg', 'jpeg', 'webp', 'avif'] }, model: { name: 'Checkpoints', extensions: ['safetensors'] },
  adapter: { name: 'Adapters', extensions: ['safetensors'] }, tagger: { name: 'ONNX models', extensions: ['onnx'] }, csv: { name: 'Lists of tags', extensions: ['csv'] },
  recipe: { name: 'Jobs and settings', extensions: ['toml', 'json', 'yaml', 'yml'] },
};

export const desktop: Desktop = {
  pick: async (kind, many) => {
    const filter = FILTERS[kind];
    const properties: Properties = [filter ? 'openFile' : 'openDirectory', ...(many ? ['multiSelections' as const] : [])];
    const { canceled, filePaths } = await dialog.showOpenDialog({ properties, ...(filter ? { filters: [filter] } : {}) });
    return canceled ? [] : filePaths;
  },
  reveal: (path) => shell.showItemInFolder(path),
};
