// The part of the API about pictures.

import { existsSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { UserError } from '../../base/errors.ts';
import type { Given, Item, ItemFilter, ItemFlag, Output } from '../../contract/api.ts';
import { say, type Text } from '../../contract/text.ts';
import type { Choice, Selection } from '../../dataset/selection.ts';
import { nearestBucket } from '../../dataset/buckets.ts';
import { makeFolder } from '../../files/atomic-write.ts';
import type { StudioContext } from '../studio-context.ts';
import { dataSettings } from '../projects/draft-job.ts';
import { uploadsOf, type StoredProject } from '../projects/project-file.ts';
import type { Handlers } from '../rpc.ts';
import { callTrainer } from '../trainer/call.ts';
import { copyPicture, sortBrought } from './bring-files.ts';
import { editTags } from './edit-tags.ts';
import { checkCanWrite, History } from './history.ts';
import { fits, flagsOf, isIncluded, itemOf, problemOf, ProjectData, repeatsOf, sizesOf, tagsOf, type Picture, type TrainingView } from './project-data.ts';

type DataMethods = Extract<keyof Handlers, `data.${string}`>;

export interface DataPart {
  readonly handlers: Pick<Handlers, DataMethods>;
  /** For a run: what was decided by hand. Error: `data.nothing`. */
  selectionOf(projectId: string): Promise<Selection>;
  /** Other folders, or other settings of them; can be taken back. */
  changeFolders(projectId: string, label: Text, change: (folders: Folders) => Folders): Promise<void>;
  /** What decides about crops changed (the model became known, the draft changed). */
  touch(projectId: string): void;
  included(projectId: string): Promise<number>;
}

export interface DataNeeds {
  readonly project: (projectId: string) => { readonly folder: string; readonly stored: StoredProject };
  readonly view: (projectId: string) => TrainingView;
  /** Writes the project; one change at a time. */
  readonly changeProject: (projectId: string, change: (stored: StoredProject) => StoredProject) => Promise<{ before: StoredProject; after: StoredProject }>;
}

interface Opened {
  readonly data: ProjectData;
  readonly history: History;
}

type Target = Given<'data.include'>['target'];
type Change = Output<'data.include'>;
type Folders = StoredProject['dataFolders'];

export function createData(studio: StudioContext, { project, view, changeProject }: DataNeeds): DataPart {
  const { ids, bus, tasks, host, folders } = studio;
  const opened = new Map<string, Promise<Opened>>();
  /** Projects whose folders shall be listed and measured, and the newest task that does it. */
  const wanted = new Set<string>();
  const scans = new Map<string, string>();
  const open = (projectId: string): Promise<Opened> => {
    let found = opened.get(projectId);
    if (!found) {
      found = (async () => {
        const { folder } = project(projectId);
        const data = new ProjectData(folder, folders.cache, ids);
        await data.list(() => project(projectId).stored);
        return { data, history: new History(data) };
      })();
      opened.set(projectId, found);
      found.catch(() => opened.delete(projectId));
    }
    return found;
  };
  const changed = (projectId: string, data: ProjectData): void => bus.emit('data.changed', { projectId, revision: data.revision });

  const relist = async (projectId: string): Promise<void> => {
    const { data } = await open(projectId);
    await data.list(() => project(projectId).stored);
    changed(projectId, data);
  };

  /** Pictures that fit a filter, with their flags. */
  const filtered = (data: ProjectData, projectId: string, filter: ItemFilter): { picture: Picture; flags: ItemFlag[] }[] => {
    const { sizes, separator } = lookOf(projectId);
    return data.pictures.flatMap((picture) => {
      const flags = flagsOf(picture, picture.facts && sizes ? sizes[nearestBucket(picture.facts, sizes)]! : null);
      return fits(picture, flags, filter, separator, ids.of(picture.dataFolder)) ? [{ picture, flags }] : [];
    });
  };
  const lookOf = (projectId: string) => {
    const look = view(projectId);
    return { look, sizes: sizesOf(look), separator: look.data.caption.separator };
  };
  const targets = (data: ProjectData, projectId: string, target: Target): Picture[] => {
    if ('filter' in target) return filtered(data, projectId, target.filter).map(({ picture }) => picture);
    const wanted = new Set(target.ids);
    return data.pictures.filter(({ id }) => wanted.has(id));
  };
  /** What was written before a failure is told of as well. */
  const telling = async <R>(projectId: string, work: (opened: Opened) => Promise<R>): Promise<R> => {
    const found = await open(projectId);
    const { revision } = found.data;
    try {
      return await work(found);
    } finally {
      if (found.data.revision !== revision) changed(projectId, found.data);
    }
  };
  const edit = (projectId: string, target: Target, label: Text, change: Parameters<History['apply']>[2]): Promise<Change> =>
    telling(projectId, async ({ data, history }) => ({ changed: await history.apply(label, () => targets(data, projectId, target), change), ...history.labels }));
  const step = (projectId: string, way: 'undo' | 'redo'): Promise<Change> =>
    telling(projectId, async ({ history }) => ({ changed: await history[way](), ...history.labels }));
  const changeFolders: DataPart['changeFolders'] = async (projectId, label, change) => {
    const { data, history } = await open(projectId);
    const set = async (wish: (folders: Folders) => Folders) => {
      const { before, after } = await changeProject(projectId, (stored) => ({ ...stored, dataFolders: wish(stored.dataFolders) }));
      await data.list(() => project(projectId).stored);
      return [before.dataFolders, after.dataFolders] as const;
    };
    const [before, after] = await set(change);
    if (JSON.stringify(before) !== JSON.stringify(after)) history.note({ label, undo: async () => void await set(() => before), redo: async () => void await set(() => after) });
    changed(projectId, data);
  };
  const withChoice = (change: (choice: Choice) => Choice) => ({ choice }: Picture) => ({ choice: change(choice) });

  const handlers: Pick<Handlers, DataMethods> = {
    'data.scan': async ({ projectId }) => {
      const { folder } = project(projectId);
      wanted.add(projectId);
      const taskId = tasks.start({ kind: 'scan', subject: projectId, label: 'Look at pictures', unit: 'pictures', key: `scan ${folder}` }, async ({ signal, progress }) => {
        const { data } = await open(projectId);
        while (wanted.delete(projectId)) {
          await data.list(() => project(projectId).stored);
          changed(projectId, data);
          try {
            await data.measure(signal, progress);
          } finally {
            changed(projectId, data);
          }
        }
      });
      // Files may have come since the scan that is under way listed them: they are shown now, and it does not end without them.
      if (scans.get(projectId) === taskId) await relist(projectId);
      scans.set(projectId, taskId);
      return { taskId };
    },
    'data.items': async ({ projectId, offset, limit, filter, sort, descending }) => {
      const { data } = await open(projectId);
      const { look, sizes } = lookOf(projectId);
      const found = filtered(data, projectId, filter).map(({ picture }) => picture);
      found.sort(ORDERS[sort]);
      if (descending) found.reverse();
      const items: Item[] = found.slice(offset, offset + limit).map((picture) => itemOf(picture, look, sizes, ids, data.cache));
      return { items, total: found.length, revision: data.revision, scanned: data.isScanned };
    },
    'data.setCaption': ({ projectId, target, caption }) => edit(projectId, target, say('edit.caption', 'Change caption'), () => ({ caption: caption.replaceAll(/\s*[\r\n]+\s*/g, ' ').trim() })),
    'data.editTags': ({ projectId, target, edit: change }) => {
      const { separator } = view(projectId).data.caption;
      return edit(projectId, target, LABELS[change.kind], ({ caption }) => ({ caption: editTags(caption, change, separator) }));
    },
    'data.include': ({ projectId, target, included }) => edit(projectId, target, included ? say('edit.include', 'Include pictures') : say('edit.leave-out', 'Leave pictures out'),
      withChoice((choice) => (included ? without(choice, 'included') : { ...choice, included: false }))),
    'data.keepBest': ({ projectId, target }) => telling(projectId, async ({ data, history }) => ({
      changed: await history.apply(say('edit.keep-best', 'Keep the best of duplicates'), () => allButBest(targets(data, projectId, target)), withChoice((choice) => ({ ...choice, included: false }))),
      ...history.labels,
    })),
    'data.setFocus': ({ projectId, target, focus }) => edit(projectId, target, say('edit.focus', 'Move focus'), withChoice((choice) =>
      (focus.x === 0.5 && focus.y === 0.5 ? without(choice, 'focus') : { ...choice, focus }))),
    'data.setRepeats': ({ projectId, target, repeats }) => edit(projectId, target, say('edit.repeats', 'Change repeats'), ({ choice, folderRepeats }) =>
      ({ choice: repeats === folderRepeats ? without(choice, 'repeats') : { ...choice, repeats } })),
    'data.setPrefix': async ({ projectId, prefix }) => {
      const { data, history } = await open(projectId);
      const prefixOf = ({ draft }: StoredProject): string => dataSettings(draft).caption.prefix;
      const set = async (wish: string) => {
        const { before } = await changeProject(projectId, (stored) => ({ ...stored, draft: withCaptionPrefix(stored.draft, wish) }));
        data.revision++;
        return prefixOf(before);
      };
      const before = await set(prefix);
      if (before !== prefix) history.note({ label: say('edit.trigger', 'Set trigger word'), undo: async () => void await set(before), redo: async () => void await set(prefix) });
      changed(projectId, data);
      return { changed: data.pictures.length, ...history.labels };
    },
    'data.undo': ({ projectId }) => step(projectId, 'undo'),
    'data.redo': ({ projectId }) => step(projectId, 'redo'),
    'data.history': async ({ projectId }) => ({ changed: 0, ...(await open(projectId)).history.labels }),
    'data.tags': async ({ projectId, filter }) => {
      const { data } = await open(projectId);
      const { separator } = lookOf(projectId);
      const counts = new Map<string, number>();
      for (const { picture } of filtered(data, projectId, filter)) {
        for (const tag of new Set(tagsOf(picture.caption, separator))) counts.set(tag, (counts.get(tag) ?? 0) + 1);
      }
      const tags = [...counts].map(([tag, count]) => ({ tag, count })).sort((a, b) => b.count - a.count || (a.tag < b.tag ? -1 : 1));
      return { tags };
    },
    'data.readiness': async ({ projectId }) => {
      const { data } = await open(projectId);
      const { sizes } = lookOf(projectId);
      const { readiness } = await import('./readiness.ts');
      return readiness(data, sizes, ids);
    },
    'data.autocaption': async ({ projectId, target, modelId, csvId, threshold, characterThreshold, mode, underscores }) => {
      const [model, csv] = [ids.path(modelId), ids.path(csvId)];
      const { data } = await open(projectId);
      const chosen = targets(data, projectId, target).filter((picture) => problemOf(picture) === null && (mode !== 'empty-only' || picture.caption === ''));
      // Before a tagger works for nothing.
      await checkCanWrite(chosen);
      const taskId = tasks.start({ kind: 'autocaption', subject: projectId, label: 'Write captions', unit: 'pictures' }, async ({ signal, progress }) => {
        const call = callTrainer(host, 'tag', { model, csv, threshold, characterThreshold, underscores, pictures: chosen.map(({ path }) => path) },
          { signal, onProgress: (_, done, total) => progress(done, total) });
        const tags = await call.result;
        const { separator } = view(projectId).data.caption;
        const found = new Map(chosen.map(({ path }, index) => [path, tags[index] ?? null]));
        const glue = separator.trim() === '' ? separator : `${separator.trim()} `;
        await telling(projectId, ({ history }) => history.apply(say('edit.captions', 'Write captions'), () => data.pictures.filter(({ path }) => found.has(path)), ({ path, caption }) => {
          const own = found.get(path);
          // A caption that was written by hand meanwhile stays.
          if (!own || own.length === 0 || (mode === 'empty-only' && caption !== '')) return {};
          const added = mode === 'append' ? [...tagsOf(caption, separator), ...own.filter((tag) => !tagsOf(caption, separator).includes(tag))] : own;
          return { caption: added.join(glue) };
        }));
      });
      return { taskId };
    },
    'data.bring': ({ projectId, fileIds }) => {
      const { folders: dropped, pictures } = sortBrought(fileIds.map((id) => ids.path(id)));
      const uploads = uploadsOf(project(projectId).folder);
      const taskId = tasks.start({ kind: 'bring', subject: projectId, label: 'Add pictures', unit: 'pictures' }, async ({ signal, progress }) => {
        if (pictures.length > 0) await makeFolder(uploads);
        try {
          for (const [done, path] of pictures.entries()) {
            progress(done, pictures.length);
            signal.throwIfAborted();
            await copyPicture(path, uploads);
          }
          progress(pictures.length, pictures.length);
        } finally {
          // What was copied before a stop is there.
          const added = [...dropped, ...(pictures.length > 0 ? [uploads] : [])];
          await changeFolders(projectId, say('edit.add-pictures', 'Add pictures'), (folders) => withFolders(folders, added));
        }
      });
      return { taskId };
    },
    'data.discardUploads': async ({ projectId }) => {
      const uploads = uploadsOf(project(projectId).folder);
      for (const name of existsSync(uploads) ? readdirSync(uploads) : []) if (name.endsWith('.upload')) await rm(join(uploads, name), { force: true });
      return {};
    },
  };
  return {
    handlers,
    selectionOf: async (projectId) => {
      const { data } = await open(projectId);
      if (!data.pictures.some((picture) => isIncluded(picture) && !picture.regularization)) {
        throw new UserError('data.nothing', 'There is no picture to train on: add a folder with pictures, or include some.');
      }
      const unreadable = data.pictures.filter((picture) => problemOf(picture) !== null).map(({ path }) => [path, { included: false }] as const);
      return new Map([...data.selection(), ...unreadable]);
    },
    changeFolders,
    touch: (projectId) => {
      void opened.get(projectId)?.then(({ data }) => {
        data.revision++;
        changed(projectId, data);
      });
    },
    included: async (projectId) => (await open(projectId)).data.pictures.filter(isIncluded).reduce((sum, picture) => sum + repeatsOf(picture), 0),
  };
}

/** Those of each group that are used and that another one of the group surpasses. */
function allButBest(pictures: readonly Picture[]): Picture[] {
  const best = new Map<number, Picture>();
  const used = pictures.filter((picture) => picture.group !== null && isIncluded(picture));
  const area = ({ facts }: Picture): number => (facts ? facts.width * facts.height : 0);
  for (const picture of used) {
    const other = best.get(picture.group!);
    if (!other || area(picture) > area(other) || (area(picture) === area(other) && (picture.facts?.sharpness ?? 0) > (other.facts?.sharpness ?? 0))) best.set(picture.group!, picture);
  }
  return used.filter((picture) => best.get(picture.group!) !== picture);
}

/** Folders that are there already stay as they are. */
export const withFolders = (folders: Folders, paths: readonly string[]): Folders =>
  [...folders, ...[...new Set(paths)].filter((path) => !folders.some((one) => one.path === path)).map((path) => ({ path, repeats: null, regularization: false }))];

function withCaptionPrefix(draft: StoredProject['draft'], prefix: string): StoredProject['draft'] {
  const part = (value: unknown): Record<string, unknown> => (typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : {});
  const data = part(draft['data']);
  return { ...draft, data: { ...data, caption: { ...part(data['caption']), prefix } } };
}

const without = (choice: Choice, key: keyof Choice): Choice => Object.fromEntries(Object.entries(choice).filter(([name]) => name !== key));

const LABELS = {
  add: say('edit.add-tags', 'Add tags'), remove: say('edit.remove-tags', 'Remove tags'), replace: say('edit.replace', 'Find and replace'), prefix: say('edit.prefix', 'Put before captions'),
} as const;

const byName = (a: Picture, b: Picture): number => {
  const [left, right] = [basename(a.path), basename(b.path)];
  return left < right ? -1 : left > right ? 1 : a.path < b.path ? -1 : 1;
};
const by = (value: (picture: Picture) => number) => (a: Picture, b: Picture): number => value(a) - value(b) || byName(a, b);

const ORDERS: Readonly<Record<Given<'data.items'>['sort'], (a: Picture, b: Picture) => number>> = {
  name: byName,
  size: by(({ facts }) => (facts ? facts.width * facts.height : 0)),
  sharpness: by(({ facts }) => facts?.sharpness ?? Infinity),
  caption: (a, b) => (a.caption < b.caption ? -1 : a.caption > b.caption ? 1 : byName(a, b)),
  group: by(({ group }) => group ?? Infinity),
  folder: (a, b) => (a.path < b.path ? -1 : 1),
};
