// The pictures of one project in memory: what lies in its folders, what was measured, what was decided by hand.

import { existsSync } from 'node:fs';
import { basename } from 'node:path';

import { UserError } from '../../base/errors.ts';
import { mapAhead, serialQueue } from '../../base/async.ts';
import type { Item, ItemFilter, ItemFlag } from '../../contract/api.ts';
import type { Job } from '../../contract/job.ts';
import { say, type Text } from '../../contract/text.ts';
import { nearestBucket, planBuckets } from '../../dataset/buckets.ts';
import { withPrefix } from '../../dataset/caption.ts';
import { findDuplicates } from '../../dataset/duplicates.ts';
import type { PictureFacts } from '../../dataset/picture-facts.ts';
import { scanFolders } from '../../dataset/scan.ts';
import type { Choice, Selection } from '../../dataset/selection.ts';
import type { Size } from '../../dataset/types.ts';
import { coverSize, focusCorner } from '../../dataset/variants.ts';
import { uploadsOf, type StoredProject } from '../projects/project-file.ts';
import type { Ids } from '../ids.ts';
import { FactsCache, stampOf } from './facts-cache.ts';
import { readChoices } from './picture-choices.ts';

export interface Picture {
  readonly path: string;
  readonly id: string;
  /** The data folder of the project that it was found in. */
  readonly dataFolder: string;
  readonly regularization: boolean;
  /** Of the folder. */
  readonly folderRepeats: number;
  caption: string;
  choice: Choice;
  facts: PictureFacts | null;
  /** Why its caption file cannot be read; it is not trained on then. */
  readonly captionProblem: Text | null;
  /** Why it cannot be read. */
  problem: Text | null;
  group: number | null;
  isExactDouble: boolean;
}

/** A picture as it was found: nothing was measured or decided yet. */
type Found = Pick<Picture, 'path' | 'dataFolder' | 'regularization' | 'folderRepeats' | 'caption' | 'captionProblem'>;

/** What decides how pictures are cut and what they are trained with. */
export interface TrainingView {
  readonly data: Job['data'];
  readonly model: { readonly nativeSide: number; readonly pixelStep: number } | null;
}

/** Below this the variance of the Laplacian tells of blur, at 512 pixels. */
const BLURRED = 60;
const CLIPPED = 0.35;
/** Warnings of a listing that are worth a line; the others are flags of pictures or come from settings. */
const NOTED: ReadonlySet<string> = new Set(['dataset.skipped-folders', 'dataset.skipped-files']);
/** Why a picture may not be read (`files/file-errors.ts`). */
const UNREADABLE: ReadonlySet<string> = new Set(['files.not-found', 'files.no-access', 'files.is-a-folder', 'files.damaged-disk']);

export class ProjectData {
  readonly folder: string;
  readonly cache: FactsCache;
  pictures: Picture[] = [];
  choices: Map<string, Choice>;
  revision = 0;
  /** Data folders that are gone, and texts of files that stopped the reading of a folder. */
  problems: Text[] = [];
  /** What the folders hold besides, which is not used. */
  notes: Text[] = [];
  readonly #ids: Ids;
  #byPath: ReadonlyMap<string, Picture> = new Map();
  /** How often the folders were listed: who works through `pictures` sees that they are others now. */
  #listings = 0;
  readonly #inTurn = serialQueue();

  constructor(folder: string, cacheFolder: string, ids: Ids) {
    this.folder = folder;
    this.#ids = ids;
    this.cache = new FactsCache(cacheFolder, folder);
    this.choices = readChoices(folder);
  }

  at(path: string): Picture | undefined {
    return this.#byPath.get(path);
  }

  /** Listings and edits wait for each other: a listing would bring back captions that it read before an edit wrote them. */
  inTurn<R>(work: () => Promise<R>): Promise<R> {
    return this.#inTurn(work);
  }

  /**
   * Lists the folders anew; measurements that are still valid come from the cache.
   * @param stored asked when the listing's turn has come
   */
  list(stored: () => StoredProject): Promise<void> {
    return this.inTurn(() => this.#list(stored()));
  }

  async #list({ dataFolders }: StoredProject): Promise<void> {
    const found = new Map<string, Found>();
    const problems: Text[] = [];
    const notes: Text[] = [];
    for (const { path: dataFolder, repeats, regularization } of dataFolders) {
      if (!existsSync(dataFolder)) {
        problems.push(say('data.folder-gone', `The folder "${dataFolder}" is not there any more.`, { path: dataFolder }));
        continue;
      }
      try {
        const { items, bad, warnings } = await scanFolders([{ path: dataFolder, regularization, ...(repeats === null ? {} : { repeats }) }], { keepsBad: true });
        const add = (path: string, folderRepeats: number, caption: string, captionProblem: Text | null): void => {
          if (!found.has(path)) found.set(path, { path, dataFolder, regularization, folderRepeats, caption, captionProblem });
        };
        for (const { path, repeats: folderRepeats, caption } of items) add(path, folderRepeats, caption ?? '', null);
        for (const { path, error } of bad) add(path, repeats ?? 1, '', told(error));
        notes.push(...warnings.filter(({ code }) => NOTED.has(code)).map(({ code, text, data }) => say(code, text, { ...data })));
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        const text = told(error);
        if (error.code !== 'dataset.empty-folder') problems.push(text);
        // The program made that one, for what is dropped.
        else if (dataFolder !== uploadsOf(this.folder)) notes.push(text);
      }
    }
    // From here on without a pause, so that a measurement is in the cache or finds the new pictures.
    this.pictures = [...found.values()].map((picture) => ({
      ...picture, id: this.#ids.of(picture.path), choice: this.choices.get(picture.path) ?? {},
      facts: this.cache.get(picture.path), problem: this.cache.problem(picture.path), group: null, isExactDouble: false,
    }));
    this.#byPath = new Map(this.pictures.map((picture) => [picture.path, picture]));
    this.#listings++;
    this.problems = problems;
    this.notes = notes;
    this.#group();
    this.revision++;
  }

  /** Measures what was not measured yet, also what a listing meanwhile finds, until nothing is left. */
  async measure(signal: AbortSignal, onProgress: (done: number, total: number) => void): Promise<void> {
    const { pictureFacts } = await import('../../dataset/picture-facts.ts');
    const tried = new Set<string>();
    let [done, total, listing] = [0, 0, -1];
    const source = function* (data: ProjectData): Generator<string> {
      let rest: string[] = [];
      for (;;) {
        if (listing !== data.#listings) {
          listing = data.#listings;
          rest = data.pictures.filter((picture) => !tried.has(picture.path) && data.#isUnknown(picture)).map(({ path }) => path).reverse();
          total = tried.size + rest.length;
          onProgress(done, total);
        }
        const next = rest.pop();
        if (next === undefined) return;
        tried.add(next);
        yield next;
      }
    };
    const work = async (path: string): Promise<void> => {
      signal.throwIfAborted();
      const stamp = stampOf(path);
      try {
        const facts = await pictureFacts(path, (hash) => this.cache.thumbnail(hash), (file) => this.cache.hasThumbnail(file));
        this.cache.set(path, stamp, facts);
      } catch (error) {
        // A thumbnail that cannot be written is not the picture's fault.
        if (error instanceof UserError && !error.code.startsWith('images.') && !UNREADABLE.has(error.code)) throw error;
        this.cache.setBad(path, stamp, error instanceof UserError ? told(error) : say('images.unknown', error instanceof Error ? error.message : String(error)));
      }
      // The picture of the newest listing.
      const picture = this.at(path);
      if (picture) Object.assign(picture, { facts: this.cache.get(path), problem: this.cache.problem(path) });
    };
    try {
      // A listing that ends while the last ones are measured is seen by the next round.
      while (listing !== this.#listings) for await (const _ of mapAhead(source(this), 3, work)) onProgress(++done, total);
    } finally {
      // What was measured before a stop is not measured again.
      await this.cache.save(new Set(this.pictures.map(({ path }) => path)));
      this.#group();
      this.revision++;
    }
  }

  #isUnknown({ facts, problem }: Picture): boolean {
    return problem === null && (facts === null || !this.cache.hasThumbnail(this.cache.thumbnail(facts.contentHash)));
  }

  #group(): void {
    const { groups, exact } = findDuplicates(this.pictures.map(({ facts }) => facts));
    this.pictures.forEach((picture, index) => {
      picture.group = groups[index]!;
      picture.isExactDouble = exact[index]!;
    });
  }

  get isScanned(): boolean {
    return this.pictures.every(({ facts, problem }) => facts !== null || problem !== null);
  }

  /** What a run shall do with single pictures. */
  selection(): Selection {
    return new Map(this.pictures.filter(({ choice }) => Object.keys(choice).length > 0).map(({ path, choice }) => [path, choice]));
  }
}

const told = ({ code, message, data }: UserError): Text => say(code, message, { ...data });

/** Why a picture cannot be trained on. */
export const problemOf = ({ problem, captionProblem }: Picture): Text | null => problem ?? captionProblem;
export const isIncluded = (picture: Picture): boolean => picture.choice.included !== false && problemOf(picture) === null;
export const repeatsOf = ({ choice, folderRepeats }: Picture): number => choice.repeats ?? folderRepeats;

export const tagsOf = (caption: string, separator: string): string[] =>
  caption.split(separator.trim() === '' ? separator : separator.trim()).map((tag) => tag.trim()).filter((tag) => tag !== '');

/** The gravest first; a caption can be written at any time. */
export function flagsOf(picture: Picture, target: Size | null): ItemFlag[] {
  const { facts, group, isExactDouble, caption } = picture;
  const flags: ItemFlag[] = problemOf(picture) === null ? [] : ['unreadable'];
  const silent: ItemFlag[] = caption === '' ? ['no-caption'] : [];
  if (facts === null) return [...flags, ...silent];
  if (isExactDouble) flags.push('duplicate-exact');
  else if (group !== null) flags.push('duplicate-near');
  if (target && Math.max(target.width / facts.width, target.height / facts.height) > 1) flags.push('too-small');
  if (facts.sharpness < BLURRED) flags.push('blurred');
  if (facts.bright > CLIPPED) flags.push('over-exposed');
  if (facts.dark > CLIPPED) flags.push('under-exposed');
  if (facts.hasBorder) flags.push('border');
  if (facts.mayHaveWatermark) flags.push('watermark-suspect');
  if (facts.hasAlpha) flags.push('alpha');
  return [...flags, ...silent];
}

/** The training sizes of a view; null while the model is not known. */
export function sizesOf({ data, model }: TrainingView): readonly Size[] | null {
  if (model === null) return null;
  try {
    return planBuckets(data, { width: model.nativeSide, height: model.nativeSide }, model.pixelStep).sizes;
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}

/** A picture as a window sees it. */
export function itemOf(picture: Picture, { data }: TrainingView, sizes: readonly Size[] | null, ids: Ids, cache: FactsCache): Item {
  const { facts, choice, caption, path } = picture;
  const bucket = facts && sizes ? sizes[nearestBucket(facts, sizes)]! : null;
  const focus = choice.focus ?? { x: 0.5, y: 0.5 };
  let crop: Item['crop'] = null;
  if (facts && bucket) {
    const resized = coverSize(facts, bucket);
    const [left, top] = focusCorner(resized, bucket, focus);
    const scale = facts.width / resized.width;
    crop = { x: left * scale, y: top * (facts.height / resized.height), width: bucket.width * scale, height: bucket.height * (facts.height / resized.height) };
  }
  const { prefix, separator } = data.caption;
  return {
    id: picture.id, name: basename(path), folderId: ids.of(picture.dataFolder),
    imageUrl: ids.image(path, facts?.contentHash), thumbUrl: facts ? ids.image(cache.thumbnail(facts.contentHash)) : null,
    width: facts?.width ?? 0, height: facts?.height ?? 0, bytes: facts?.bytes ?? 0,
    caption, tags: tagsOf(caption, separator), included: isIncluded(picture), repeats: repeatsOf(picture), focus,
    flags: flagsOf(picture, bucket), group: picture.group,
    sharpness: facts?.sharpness ?? null, bright: facts?.bright ?? null, dark: facts?.dark ?? null,
    bucket: bucket && { width: bucket.width, height: bucket.height }, crop,
    trainedText: withPrefix(prefix, caption, separator), problem: problemOf(picture),
  };
}

export function fits(picture: Picture, flags: readonly ItemFlag[], filter: ItemFilter, separator: string, folderId: string): boolean {
  const { ids, text, tags, flags: wanted, included, group } = filter;
  if (ids !== undefined && !ids.includes(picture.id)) return false;
  if (included !== undefined && isIncluded(picture) !== included) return false;
  if (filter.folderId !== undefined && filter.folderId !== folderId) return false;
  if (group !== undefined && picture.group !== group) return false;
  if (wanted && wanted.length > 0 && !wanted.some((flag) => flags.includes(flag))) return false;
  if (tags && tags.length > 0) {
    const own = new Set(tagsOf(picture.caption, separator).map((tag) => tag.toLowerCase()));
    if (!tags.every((tag) => own.has(tag.toLowerCase()))) return false;
  }
  if (text !== undefined && text !== '') {
    const low = text.toLowerCase();
    if (!basename(picture.path).toLowerCase().includes(low) && !picture.caption.toLowerCase().includes(low)) return false;
  }
  return true;
}
