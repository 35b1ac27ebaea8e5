// Changes of captions, each a function of one caption. Pure.

import type { Given } from '../../contract/api.ts';
import { tagsOf } from './project-data.ts';

export type TagEdit = Given<'data.editTags'>['edit'];

/** The caption after the edit; the same text when nothing is to be done. Tags are compared without regard to case. */
export function editTags(caption: string, edit: TagEdit, separator: string): string {
  const tags = tagsOf(caption, separator);
  const glue = separator.trim() === '' ? separator : `${separator.trim()} `;
  const has = (list: readonly string[], tag: string): boolean => list.some((one) => one.toLowerCase() === tag.toLowerCase());
  switch (edit.kind) {
    case 'add': {
      const added = edit.tags.map((tag) => tag.trim()).filter((tag, at, all) => tag !== '' && !has(tags, tag) && !has(all.slice(0, at), tag));
      if (added.length === 0) return caption;
      return (edit.at === 'start' ? [...added, ...tags] : [...tags, ...added]).join(glue);
    }
    case 'remove': {
      const kept = tags.filter((tag) => !has(edit.tags.map((one) => one.trim()), tag));
      return kept.length === tags.length ? caption : kept.join(glue);
    }
    case 'replace': {
      const flags = edit.matchCase ? 'gu' : 'giu';
      const pattern = new RegExp(edit.find.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'), flags);
      if (!edit.wholeTag) return caption.replaceAll(pattern, () => edit.replace).replaceAll(/\s+/g, ' ').trim();
      const isIt = (tag: string): boolean => (edit.matchCase ? tag === edit.find.trim() : tag.toLowerCase() === edit.find.trim().toLowerCase());
      if (!tags.some(isIt)) return caption;
      return tags.map((tag) => (isIt(tag) ? edit.replace.trim() : tag)).filter((tag, at, all) => tag !== '' && all.indexOf(tag) === at).join(glue);
    }
    case 'prefix': return caption.startsWith(edit.text) ? caption : `${edit.text}${/[\s]$/.test(edit.text) || caption === '' ? '' : ' '}${caption}`.trim();
    default: return edit satisfies never;
  }
}
