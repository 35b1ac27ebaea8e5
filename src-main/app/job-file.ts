// Job files: TOML or JSON on disk to a checked Job with absolute paths.

import { readFile } from 'node:fs/promises';
import { dirname, extname, resolve } from 'node:path';

import { parse as parseToml } from 'smol-toml';

import { UserError } from '../base/errors.ts';
import { issueLine } from '../contract/issue.ts';
import type { Job } from '../contract/job.ts';
import { parseJob, type CatalogFields } from '../contract/parse-job.ts';
import { withPlaces } from '../contract/recipe.ts';

/** `path=value` pairs that replace keys of the file, for example `train.steps=20`. Values are JSON, else text. */
export type Overrides = readonly string[];

/**
 * Reads and checks a job. Relative paths inside it (base.model, base.vae, base.textEncoders, adapter.from, data.folders[].path, data.holdout) are meant from
 * the job file's folder and come back absolute. Throws UserError `job.*` that lists every mistake.
 */
export async function readJobFile(
  path: string, catalog: CatalogFields, overrides: Overrides = [],
): Promise<{ job: Job; notes: readonly string[] }> {
  const { job, notes } = checkedJob(await readRaw(path), path, catalog, overrides);
  return { job: withAbsolutePaths(job, dirname(resolve(path))), notes };
}

/** The value in a TOML or JSON file. Errors: `job.unreadable`, `job.type`, `job.syntax`. */
export async function readRaw(path: string): Promise<unknown> {
  return parseText(path, await readText(path));
}

/** Errors: `job.override`, `job.invalid`. @param path for messages */
export function checkedJob(raw: unknown, path: string, catalog: CatalogFields, overrides: Overrides): { job: Job; notes: readonly string[] } {
  const result = parseJob(withOverrides(raw, overrides), catalog);
  if (result.ok) return result;
  const issues = result.issues.map(issueLine);
  const list = issues.length === 1 ? ` ${issues[0]}` : issues.map((issue) => `\n  ${issue}`).join('');
  throw new UserError('job.invalid', `The job ${path} cannot be used:${list}`, { path, issues });
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : code;
    throw new UserError('job.unreadable', `The job ${path} cannot be read: ${why}. Name a .toml or .json job file.`,
      { path, code });
  }
}

function parseText(path: string, text: string): unknown {
  const type = extname(path).toLowerCase();
  if (type !== '.json' && type !== '.toml') {
    throw new UserError('job.type', `The job ${path} must end in .toml or .json.`, { path });
  }
  // A byte order mark, which some editors write, is not part of either format.
  const body = text.replace(/^\uFEFF/, '');
  try {
    return type === '.json' ? JSON.parse(body) : parseToml(body);
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    throw new UserError('job.syntax', `The job ${path} is not valid ${type.slice(1).toUpperCase()}: ${reason}`, { path });
  }
}

function withOverrides(raw: unknown, overrides: Overrides): unknown {
  if (overrides.length === 0 || typeof raw !== 'object' || raw === null) return raw;
  const job = structuredClone(raw) as Record<string, unknown>;
  for (const override of overrides) {
    const split = override.indexOf('=');
    const keys = override.slice(0, Math.max(0, split)).split('.');
    if (split < 1 || keys.includes('') || keys.includes('__proto__')) {
      throw new UserError('job.override', `'${override}' is no setting; write it as train.steps=20.`, { override });
    }
    let target = job;
    for (const key of keys.slice(0, -1)) {
      const next = Object.hasOwn(target, key) ? target[key] : {};
      if (typeof next !== 'object' || next === null || Array.isArray(next)) {
        throw new UserError('job.override', `'${override}' cannot be set: '${key}' holds no keys.`, { override });
      }
      target[key] = next;
      target = next as Record<string, unknown>;
    }
    target[keys.at(-1) ?? ''] = valueOf(override.slice(split + 1));
  }
  return job;
}

function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function withAbsolutePaths(job: Job, folder: string): Job {
  const absolute = (path: string): string => resolve(folder, path);
  const placed = withPlaces(job, { file: absolute, folder: absolute, holdout: absolute });
  const { selection } = job.data;
  return selection === undefined ? placed : { ...placed, data: { ...placed.data, selection: absolute(selection) } };
}
