// What was decided by hand about single pictures: left out, other repeats, another centre of interest. A small JSON file
// that a job names, so that the pictures themselves and their folders stay as they are.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { UserError } from '../base/errors.ts';
import { readError } from '../files/file-errors.ts';
import type { Focus } from './types.ts';

export interface Choice {
  readonly included?: boolean;
  readonly repeats?: number;
  /** Centre of interest as shares of width and height. */
  readonly focus?: Focus;
}

/** By absolute path of the picture. */
export type Selection = ReadonlyMap<string, Choice>;

/** The text of a selection file; equal selections give equal texts. */
export function selectionText(selection: Selection): string {
  const pictures = Object.fromEntries([...selection].sort(([a], [b]) => (a < b ? -1 : 1)));
  return `${JSON.stringify({ version: 1, pictures }, null, 1)}\n`;
}

/** Errors: `files.*`, `dataset.selection`. */
export async function readSelection(path: string): Promise<Selection> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw readError(error, path, 'the selection of pictures');
  });
  try {
    const { version, pictures } = JSON.parse(text) as { version: unknown; pictures: Record<string, unknown> };
    if (version !== 1) throw new Error('version');
    return new Map(Object.entries(pictures).map(([picture, choice]) => [resolve(picture), choiceOf(choice)]));
  } catch {
    throw new UserError('dataset.selection', `The selection of pictures "${path}" is not of a kind that Adora writes: ` +
      'remove data.selection from the job, or make the run again in the studio.', { path });
  }
}

function choiceOf(raw: unknown): Choice {
  const { included, repeats, focus } = raw as { included?: unknown; repeats?: unknown; focus?: { x?: unknown; y?: unknown } };
  const share = (value: unknown): value is number => typeof value === 'number' && value >= 0 && value <= 1;
  const isWhole = typeof repeats === 'number' && Number.isInteger(repeats) && repeats >= 1;
  if ((included !== undefined && typeof included !== 'boolean') || (repeats !== undefined && !isWhole)) throw new Error('choice');
  if (focus !== undefined && !(share(focus.x) && share(focus.y))) throw new Error('focus');
  return {
    ...(included === undefined ? {} : { included }),
    ...(repeats === undefined ? {} : { repeats: repeats as number }),
    ...(focus === undefined ? {} : { focus: focus as Focus }),
  };
}

/** Pictures that are not left out, with their own repeats and centres. */
export function applySelection<Item extends { readonly path: string; readonly repeats: number; readonly focus?: Focus }>(
  items: readonly Item[], selection: Selection,
): Item[] {
  return items.flatMap((item) => {
    const choice = selection.get(resolve(item.path));
    if (!choice) return [item];
    if (choice.included === false) return [];
    return [{ ...item, ...(choice.repeats === undefined ? {} : { repeats: choice.repeats }), ...(choice.focus ? { focus: choice.focus } : {}) }];
  });
}
