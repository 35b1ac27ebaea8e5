// The user's settings and the list of projects: two small files in the configuration folder.

import { existsSync, readFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

import { serialQueue } from '../base/async.ts';
import { devices, type Device } from '../contract/devices.ts';
import { writeFileAtomic } from '../files/atomic-write.ts';

export interface StoredSettings {
  readonly folders: readonly string[];
  readonly device: Device;
  readonly theme: 'dark' | 'light' | 'system';
  readonly lowVram: boolean;
  readonly locale: string;
  /** Newest first. */
  readonly projects: readonly { readonly path: string; readonly opened: number }[];
  /** Keys ids of files, so that they outlive a restart; says nothing to anybody else. */
  readonly idSecret: string;
}

export interface SettingsStore {
  get(): StoredSettings;
  set(change: Partial<StoredSettings>): Promise<void>;
}

const themes = ['dark', 'light', 'system'] as const;

/** A missing or damaged file means defaults; single wrong values too. The next change writes a whole file. */
export function openSettings(folder: string): SettingsStore {
  const file = join(folder, 'settings.json');
  const queue = serialQueue();
  let settings = readSettings(file);
  return {
    get: () => settings,
    set: (change) => {
      settings = { ...settings, ...change };
      const text = `${JSON.stringify(settings, null, 2)}\n`;
      return queue(() => writeFileAtomic(file, text));
    },
  };
}

function readSettings(file: string): StoredSettings {
  const raw = readObject(file);
  const texts = (value: unknown): string[] => (Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []);
  const projects = Array.isArray(raw['projects']) ? raw['projects'] as unknown[] : [];
  const one = <Value extends string>(known: readonly Value[], value: unknown, otherwise: Value): Value =>
    known.find((each) => each === value) ?? otherwise;
  return {
    folders: texts(raw['folders']),
    device: one(devices, raw['device'], 'auto'),
    theme: one(themes, raw['theme'], 'dark'),
    lowVram: raw['lowVram'] === true,
    locale: typeof raw['locale'] === 'string' ? raw['locale'].slice(0, 35) : 'en',
    projects: projects.flatMap((entry) => {
      const { path, opened } = (entry ?? {}) as { path?: unknown; opened?: unknown };
      return typeof path === 'string' ? [{ path, opened: typeof opened === 'number' ? opened : 0 }] : [];
    }),
    idSecret: typeof raw['idSecret'] === 'string' && /^[\w-]{43}$/.test(raw['idSecret']) ? raw['idSecret'] : randomBytes(32).toString('base64url'),
  };
}

/** The object in a JSON file; an empty one when it is missing or no object. */
export function readObject(file: string): Record<string, unknown> {
  if (!existsSync(file)) return {};
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : {};
  } catch {
    return {};
  }
}
