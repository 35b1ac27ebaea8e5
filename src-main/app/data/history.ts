// Edits of pictures, each of which can be taken back. Captions are files beside the pictures.

import { existsSync, readFileSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { extname } from 'node:path';

import { mapLimit } from '../../base/async.ts';
import type { Choice } from '../../dataset/selection.ts';
import { CAPTION_ENDINGS, decodeCaption } from '../../dataset/sidecar.ts';
import { writeFileAtomic } from '../../files/atomic-write.ts';
import { writeChoices } from './picture-choices.ts';
import type { Picture, ProjectData } from './project-data.ts';

/** What an edit may change. */
export interface PictureState {
  readonly caption: string;
  readonly choice: Choice;
}

interface Edit {
  readonly label: string;
  readonly before: ReadonlyMap<string, PictureState>;
  readonly after: ReadonlyMap<string, PictureState>;
}

/** Edits that can be taken back. */
const DEPTH = 100;

export class History {
  readonly #data: ProjectData;
  readonly #done: Edit[] = [];
  readonly #undone: Edit[] = [];
  /** Caption files that were made here, which taking an edit back may remove. */
  readonly #made = new Set<string>();

  constructor(data: ProjectData) {
    this.#data = data;
  }

  get labels(): { undo: string | null; redo: string | null } {
    return { undo: this.#done.at(-1)?.label ?? null, redo: this.#undone.at(-1)?.label ?? null };
  }

  /** Gives the number of pictures that changed. */
  async apply(label: string, pictures: readonly Picture[], change: (picture: Picture) => Partial<PictureState>): Promise<number> {
    const before = new Map<string, PictureState>();
    const after = new Map<string, PictureState>();
    for (const picture of pictures) {
      const old: PictureState = { caption: picture.caption, choice: picture.choice };
      const next: PictureState = { ...old, ...change(picture) };
      if (next.caption === old.caption && JSON.stringify(next.choice) === JSON.stringify(old.choice)) continue;
      before.set(picture.path, old);
      after.set(picture.path, next);
    }
    if (after.size === 0) return 0;
    await this.#set(after);
    this.#done.push({ label, before, after });
    this.#done.splice(0, this.#done.length - DEPTH);
    this.#undone.length = 0;
    return after.size;
  }

  async undo(): Promise<number> {
    const edit = this.#done.at(-1);
    if (!edit) return 0;
    await this.#set(edit.before);
    this.#undone.push(this.#done.pop()!);
    return edit.before.size;
  }

  async redo(): Promise<number> {
    const edit = this.#undone.at(-1);
    if (!edit) return 0;
    await this.#set(edit.after);
    this.#done.push(this.#undone.pop()!);
    return edit.after.size;
  }

  async #set(states: ReadonlyMap<string, PictureState>): Promise<void> {
    const pictures = this.#data.pictures.filter(({ path }) => states.has(path));
    const isNew = (picture: Picture): boolean => states.get(picture.path)!.caption !== picture.caption;
    await mapLimit(pictures.filter(isNew), 8, async (picture) => {
      const { caption } = states.get(picture.path)!;
      await this.#writeCaption(picture.path, caption);
      picture.caption = caption;
      this.#data.revision++;
    });
    for (const picture of pictures) {
      picture.choice = states.get(picture.path)!.choice;
      this.#data.choices.set(picture.path, picture.choice);
    }
    await writeChoices(this.#data.folder, this.#data.choices);
    this.#data.revision++;
  }

  async #writeCaption(picture: string, caption: string): Promise<void> {
    const file = captionFile(picture);
    if (caption === '' && this.#made.has(file)) {
      await unlink(file);
      this.#made.delete(file);
      return;
    }
    if (caption === '' && !existsSync(file)) return;
    if (!existsSync(file)) this.#made.add(file);
    await writeFileAtomic(file, `${caption}\n`);
  }
}

/** The caption file that counts for a picture: the first that says something, else the one to make. */
function captionFile(picture: string): string {
  const stem = picture.slice(0, -extname(picture).length);
  const found = CAPTION_ENDINGS.map((ending) => stem + ending).find((file) => existsSync(file) && decodeCaption(readFileSync(file), file) !== '');
  return found ?? `${stem}.txt`;
}
