// Reading and changing a draft, and which settings a form shows. Pure.
import { t } from '../messages.ts';
import type { Draft, SettingDescription } from '../../src-main/contract/api.ts';

/** The value at `path` ('train.steps'), or undefined where the draft says nothing. */
export function valueAt(draft: Draft, path: string): unknown {
  let at: unknown = draft;
  for (const key of path.split('.')) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = (at as Record<string, unknown>)[key];
  }
  return at;
}

/** A copy with `value` at `path`; undefined takes the key out, so that the default holds. */
export function withValue(draft: Draft, path: string, value: unknown): Draft {
  const [key = '', ...rest] = path.split('.');
  const copy = { ...draft };
  if (rest.length > 0) {
    const inner = copy[key];
    copy[key] = withValue(typeof inner === 'object' && inner !== null ? (inner as Draft) : {}, rest.join('.'), value);
  } else if (value === undefined) {
    delete copy[key];
  } else {
    copy[key] = value;
  }
  return copy;
}

export function effective(draft: Draft, setting: SettingDescription): unknown {
  return valueAt(draft, setting.path) ?? setting.field.default;
}

/** Whether what is wrong at `path` (`preview.prompts[2]`) is wrong with this setting. */
export const belongsTo = (path: string, setting: string): boolean => path === setting || path.startsWith(`${setting}[`) || path.startsWith(`${setting}.`);

/** The setting that a sentence of the trainer names first; it knows of the model, which the form does not. */
export function namedSetting(settings: readonly SettingDescription[], text: string): SettingDescription | null {
  const named = settings.flatMap((setting) => {
    const at = text.indexOf(setting.path);
    return at < 0 ? [] : [{ setting, at }];
  });
  // Of two at one place the longer: `adapter.from` stands in `adapter.fromStep`.
  return named.sort((a, b) => a.at - b.at || b.setting.path.length - a.setting.path.length)[0]?.setting ?? null;
}

export interface SettingGroup { readonly name: string; readonly label: string; readonly settings: SettingDescription[] }

export interface Change { readonly path: string; readonly label: string; readonly field: SettingDescription['field']; readonly before: unknown; readonly after: unknown }

const holds = ({ when }: SettingDescription, draft: Draft, byPath: ReadonlyMap<string, SettingDescription>): boolean => {
  if (when === null) return true;
  const decider = byPath.get(when.path);
  return String(decider === undefined ? valueAt(draft, when.path) : effective(draft, decider)) === when.is;
};

/** What differs between two drafts, defaults filled in, in the order of the form; only settings that exist in the second. */
export function changesBetween(settings: readonly SettingDescription[], before: Draft, after: Draft): Change[] {
  const byPath = new Map(settings.map((setting) => [setting.path, setting]));
  const seen = new Set<string>();
  return settings.flatMap((setting) => {
    if (seen.has(setting.path) || !holds(setting, after, byPath)) return [];
    seen.add(setting.path);
    const [was, is] = [effective(before, setting), effective(after, setting)];
    return JSON.stringify(was) === JSON.stringify(is) ? [] : [{ path: setting.path, label: setting.field.label, field: setting.field, before: was, after: is }];
  });
}

/** The settings that exist for this draft, fit the search and the level, in groups. A search looks at advanced ones too. */
export function settingGroups(settings: readonly SettingDescription[], draft: Draft, search: string, advanced: boolean): SettingGroup[] {
  const words = search.toLowerCase().split(/\s+/).filter((word) => word !== '');
  const byPath = new Map(settings.map((setting) => [setting.path, setting]));
  const shown = settings.filter((setting) => {
    if (!holds(setting, draft, byPath)) return false;
    if (words.length === 0) return advanced || !setting.advanced;
    const { label, help, why } = setting.field;
    const text = `${setting.path} ${label} ${help} ${why ?? ''} ${setting.groupLabel}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const groups = new Map<string, SettingGroup>();
  for (const setting of shown) {
    const group = groups.get(setting.group) ?? { name: setting.group, label: setting.groupLabel, settings: [] };
    groups.set(setting.group, group);
    group.settings.push(setting);
  }
  return [...groups.values()];
}

/** What a person typed, as the value a field wants; an error text otherwise. */
export function readField(field: SettingDescription['field'], text: string): { readonly value: unknown } | { readonly error: string } {
  if (field.kind === 'number') {
    if (text.trim() === '') return { value: undefined };
    const value = Number(text);
    if (!Number.isFinite(value)) return { error: t.parts.field.number };
    if (field.integer === true && !Number.isInteger(value)) return { error: t.parts.field.whole };
    if (value < field.min) return { error: t.parts.field.least(text.trim(), String(field.min)) };
    if (value > field.max) return { error: t.parts.field.most(text.trim(), String(field.max)) };
    return { value };
  }
  if (field.kind === 'free') {
    if (text.trim() === '') return { value: undefined };
    try {
      return { value: JSON.parse(text) as unknown };
    } catch {
      return { value: text };
    }
  }
  if (field.kind === 'texts') return { value: text.split('\n').map((line) => line.trim()).filter((line) => line !== '') };
  return { value: text };
}
