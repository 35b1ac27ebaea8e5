// `adora import`: settings of another trainer as a job file, with everything that has no counterpart listed.

import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';

import { parse as parseToml, stringify as tomlText } from 'smol-toml';

import { UserError } from '../base/errors.ts';
import { importers } from '../catalog/importers/index.ts';
import type { Raw } from '../catalog/define/imported-settings.ts';
import { parseJob, type CatalogFields } from '../contract/parse-job.ts';
import { writeFileAtomic } from '../files/atomic-write.ts';

export interface ImportRequest {
  readonly file: string;
  readonly to: string;
}

/** Errors: `import.unreadable`, `import.type`, `import.syntax`, `import.unknown`, `files.*`. */
export async function importCommand({ file, to }: ImportRequest, catalog: CatalogFields): Promise<{ text: string; data: unknown }> {
  const raw = await readSettings(file);
  const found = Object.values(importers).find((importer) => importer.detect(raw));
  if (!found) throw new UserError('import.unknown', `"${file}" has no settings of ${Object.values(importers).map(({ label }) => label).join(', ')}: choose the file that the program saved.`, { file });
  const { job, left, notes } = found.convert(raw);
  const result = parseJob(job, catalog);
  const all = [...notes, ...(result.ok ? [] : result.issues.map((issue) => `Not yet a valid job: ${issue}`))];
  const lines = [...all, ...(left.length === 0 ? [] : ['No counterpart:', ...left.map((line) => `  ${line}`)])];
  const comment = [`Imported from settings of ${found.label}.`, ...lines].map((line) => `# ${line.replaceAll(/[\r\n]+/g, ' ')}`).join('\n');
  const text = `${comment}\n\n${tomlText(job)}\n`;
  await writeFileAtomic(to, async (handle) => { await handle.writeFile(text); });
  return { text: [`${to}: a job from settings of ${found.label}.`, ...lines].join('\n'), data: { out: to, from: found.label, job, left, notes: all, isValid: result.ok } };
}

async function readSettings(path: string): Promise<Raw> {
  const type = extname(path).toLowerCase();
  if (type === '.yaml' || type === '.yml') throw new UserError('import.type', `"${path}" is YAML, which Adora does not read: save the same settings as JSON.`, { path });
  if (type !== '.json' && type !== '.toml') throw new UserError('import.type', `"${path}" must end in .toml or .json.`, { path });
  let text: string;
  try {
    text = (await readFile(path, 'utf8')).replace(/^\uFEFF/, '');
  } catch (error) {
    throw new UserError('import.unreadable', `"${path}" cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown'}. Name the file with the settings.`, { path });
  }
  let value: unknown;
  try {
    value = type === '.json' ? JSON.parse(text) : parseToml(text);
  } catch (error) {
    throw new UserError('import.syntax', `"${path}" is not valid ${type.slice(1).toUpperCase()}: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`, { path });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new UserError('import.unknown', `"${path}" holds no settings.`, { path });
  return value as Raw;
}
