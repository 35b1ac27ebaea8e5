// Decisions about single pictures, kept in the project's data.json.

import { join } from 'node:path';

import { writeFileAtomic } from '../../files/atomic-write.ts';
import type { Choice } from '../../dataset/selection.ts';
import { fromStored, toStored } from '../projects/project-file.ts';
import { readObject } from '../settings.ts';

export type Choices = ReadonlyMap<string, Choice>;

const FILE = 'data.json';

/** By absolute path of the picture. Entries of a wrong kind are left out. */
export function readChoices(project: string): Map<string, Choice> {
  const pictures = readObject(join(project, FILE))['pictures'];
  if (typeof pictures !== 'object' || pictures === null) return new Map();
  return new Map(Object.entries(pictures).map(([path, raw]) => [fromStored(project, path), choiceOf(raw)]));
}

export async function writeChoices(project: string, choices: Choices): Promise<void> {
  const pictures = Object.fromEntries([...choices].filter(([, choice]) => Object.keys(choice).length > 0)
    .map(([path, choice]) => [toStored(project, path), choice]).sort(([a], [b]) => (a! < b! ? -1 : 1)));
  await writeFileAtomic(join(project, FILE), `${JSON.stringify({ version: 1, pictures }, null, 1)}\n`);
}

function choiceOf(raw: unknown): Choice {
  const { included, repeats, focus } = (raw ?? {}) as { included?: unknown; repeats?: unknown; focus?: { x?: unknown; y?: unknown } };
  const isShare = (value: unknown): value is number => typeof value === 'number' && value >= 0 && value <= 1;
  return {
    ...(included === false ? { included } : {}),
    ...(typeof repeats === 'number' && Number.isInteger(repeats) && repeats >= 1 ? { repeats } : {}),
    ...(isShare(focus?.x) && isShare(focus.y) ? { focus: { x: focus.x, y: focus.y } } : {}),
  };
}
