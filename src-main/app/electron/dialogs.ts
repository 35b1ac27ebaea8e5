// The system's own dialogs and file manager. What is read in a dialog comes from the window, in its language.

import { basename, dirname } from 'node:path';

import { dialog, shell, type OpenDialogOptions } from 'electron';

import { EXTENSIONS } from '../file-kinds.ts';
import type { Desktop } from '../studio-context.ts';

type Properties = NonNullable<OpenDialogOptions['properties']>;

/** Most systems choose files or folders in a dialog, and not both: a model in a folder is chosen by this file in it. */
const MODEL_INDEX = 'model_index.json';
const chosenBy = (path: string): string => (basename(path) === MODEL_INDEX ? dirname(path) : path);

export const desktop: Desktop = {
  pick: async ({ kind, many, title, filter }) => {
    const known = EXTENSIONS[kind];
    const properties: Properties = [known ? 'openFile' : 'openDirectory', ...(many ? ['multiSelections' as const] : [])];
    const extensions = [...known ?? [], ...(kind === 'model' ? ['json'] : [])];
    const { canceled, filePaths } = await dialog.showOpenDialog({ title, properties, ...(known ? { filters: [{ name: filter, extensions }] } : {}) });
    return canceled ? [] : kind === 'model' ? filePaths.map(chosenBy) : filePaths;
  },
  reveal: (path) => shell.showItemInFolder(path),
};
