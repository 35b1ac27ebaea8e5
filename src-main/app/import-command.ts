// `adora import`: settings of another trainer as a job file, with everything that has no counterpart listed.

import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';

import { parse as parseToml, stringify as tomlText } from 'smol-toml';
import { parse as parseYaml } from 'yaml';

import { UserError } from '../base/errors.ts';
import { importers } from '../catalog/importers/index.ts';
import type { Raw } from '../catalog/define/imported-settings.ts';
import { issueLine } from '../contract/issue.ts';
import { say, type Text } from '../contract/text.ts';
import { parseJob, type CatalogFields } from '../contract/parse-job.ts';
import { writeFileAtomic } from '../files/atomic-write.ts';
import { readError } from '../files/file-errors.ts';
import { refuseExisting, refuseSources } from '../files/keep-sources.ts';
import { countSteps } from './import-steps.ts';

export interface ImportRequest {
  readonly file: string;
  /** Job file to write; nothing is written if left out. */
  readonly to?: string;
  /** Replace a job file that is there. */
  readonly force?: boolean;
}

export interface ImportedJob {
  /** Name of the other program. */
  readonly label: string;
  readonly job: Readonly<Record<string, unknown>>;
  /** Settings without a counterpart, as `name = value`. */
  readonly left: readonly string[];
  /** What was computed, what has to be filled in, what is not valid yet. */
  readonly notes: readonly Text[];
  readonly isValid: boolean;
}

/** Settings of another trainer as a job. Errors: those of reading a file, `import.type`, `import.syntax`, `import.unknown`. */
export async function importSettings(file: string, catalog: CatalogFields): Promise<ImportedJob> {
  const raw = await readSettings(file);
  const found = isObject(raw) ? Object.values(importers).find((importer) => importer.detect(raw)) : undefined;
  if (!found || !isObject(raw)) throw new UserError('import.unknown', `"${file}" has no settings of ${Object.values(importers).map(({ label }) => label).join(', ')}: choose the file that the program saved.`, { file });
  const named = found.beside?.(raw) ?? null;
  const { left, ...converted } = found.convert(raw, named === null ? null : await readBeside(file, named));
  const { job, notes } = await countSteps(converted.job, converted.notes, file);
  const result = parseJob(job, catalog);
  return { label: found.label, job, left, notes: [...notes, ...modelNote(job, file), ...(result.ok ? [] : result.issues.map((wrong) => say('import.not-valid', `Not yet a valid job: ${issueLine(wrong)}`, { issue: wrong })))], isValid: result.ok };
}

/** Other programs fetch a model by its name on Hugging Face. */
function modelNote({ base }: Readonly<Record<string, unknown>>, file: string): Text[] {
  const { model } = base as { model: string };
  if (!/^[\w.-]+\/[\w.-]+$/.test(model) || /\.(?:safetensors|ckpt|pt|bin|gguf)$/i.test(model) || existsSync(resolve(dirname(file), model))) return [];
  return [say('import.hub-model', `base.model = "${model}" is a name on Hugging Face and no file: set it to a checkpoint or model folder on this computer.`, { model })];
}

/** The job as text with everything that is to be said about it as its comment. Errors: those of `importSettings`, `files.is-there`, `files.*`. */
export async function importCommand({ file, to, force = false }: ImportRequest, catalog: CatalogFields): Promise<{ text: string; data: unknown }> {
  const { label, job, left, notes, isValid } = await importSettings(file, catalog);
  const said = notes.map(({ text }) => text);
  const lines = [...said, ...(left.length === 0 ? [] : ['No counterpart:', ...left.map((line) => `  ${line}`)])];
  const comment = [`Imported from settings of ${label}.`, ...lines].map((line) => `# ${line.replaceAll(/[\r\n]+/g, ' ')}`).join('\n');
  const text = `${comment}\n\n${tomlText(job)}\n`;
  const data = { out: to ?? null, from: label, job, left, notes: said, isValid };
  if (to === undefined) return { text, data };
  refuseSources(to, [file]);
  refuseExisting(to, force);
  await writeFileAtomic(to, text);
  return { text: [`${to}: a job from settings of ${label}.`, ...lines].join('\n'), data };
}

const isObject = (value: unknown): value is Raw => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The settings may have been moved with their second file, or name it as seen from the program's own folder. Null when it is not there. */
async function readBeside(file: string, named: string): Promise<unknown> {
  const name = basename(named.replaceAll('\\', '/'));
  for (const path of [resolve(dirname(file), named), join(dirname(file), name)]) {
    try {
      return await readSettings(path);
    } catch (error) {
      if (!(error instanceof UserError) || error.code !== 'files.not-found') throw error;
    }
  }
  return null;
}

const readers: Readonly<Record<string, (text: string) => unknown>> = {
  '.json': (text) => JSON.parse(text) as unknown,
  '.toml': parseToml,
  // As PyYAML reads it, which is what the other program uses.
  '.yaml': (text) => parseYaml(text, { version: '1.1' }) as unknown,
};

async function readSettings(path: string): Promise<unknown> {
  const type = extname(path).toLowerCase().replace(/^\.yml$/, '.yaml');
  const read = Object.hasOwn(readers, type) ? readers[type]! : null;
  let text = '';
  try {
    const isFile = (await stat(path)).isFile();
    if (read !== null || !isFile) text = (await readFile(path, 'utf8')).replace(/^\uFEFF/, '');
  } catch (error) {
    throw readError(error, path, 'the file with the settings');
  }
  if (read === null) throw new UserError('import.type', `"${path}" must end in .toml, .json or .yaml.`, { path });
  try {
    return read(text);
  } catch (error) {
    throw new UserError('import.syntax', `"${path}" is not valid ${type.slice(1).toUpperCase()}: ${syntaxText(error)}. Save it again with the program that made it, or correct it there.`, { path });
  }
}

/** The first line of a parser's message, with the place where it says it apart. */
function syntaxText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const first = error.message.split('\n')[0]!.replace(/[\s:.]+$/, '');
  const { line } = error as { line?: unknown };
  return typeof line === 'number' && !/\bline \d/.test(first) ? `${first} (line ${line})` : first;
}
