// Edits of pictures, each of which can be taken back. Captions are files beside the pictures.

import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';

import { mapLimit } from '../../base/async.ts';
import { UserError } from '../../base/errors.ts';
import type { Text } from '../../contract/text.ts';
import type { Choice } from '../../dataset/selection.ts';
import { countOf } from '../../dataset/names.ts';
import { CAPTION_ENDINGS, decodeCaption } from '../../dataset/sidecar.ts';
import { writeFileAtomic } from '../../files/atomic-write.ts';
import { readError, writeError } from '../../files/file-errors.ts';
import { writeChoices } from './picture-choices.ts';
import type { Picture, ProjectData } from './project-data.ts';

/** What an edit may change. */
export interface PictureState {
  readonly caption: string;
  readonly choice: Choice;
}

/** Bytes of a caption file; null where there is none. */
type Content = Buffer | null;

interface Written {
  readonly file: string;
  readonly before: Content;
  readonly after: Content;
}

interface Change {
  readonly before: PictureState;
  readonly after: PictureState;
  /** The caption file, when the caption changed. */
  readonly written: Written | null;
}

/** Something that was done, by path of the picture, or anything else that can be done and taken back. */
type Edit = { readonly label: Text } & (
  | { readonly changes: ReadonlyMap<string, Change> }
  | { readonly undo: () => Promise<void>; readonly redo: () => Promise<void> }
);

/** Edits that can be taken back. */
const DEPTH = 100;

export class History {
  readonly #data: ProjectData;
  readonly #done: Edit[] = [];
  readonly #undone: Edit[] = [];

  constructor(data: ProjectData) {
    this.#data = data;
  }

  get labels(): { undo: Text | null; redo: Text | null } {
    return { undo: this.#done.at(-1)?.label ?? null, redo: this.#undone.at(-1)?.label ?? null };
  }

  /**
   * Gives the number of pictures that changed. A caption that another program changed meanwhile is edited as it is now.
   * Error: `data.captions` or `data.read-only` when some files could not be written; the others are, and can be taken back.
   * @param choose asked when the edit's turn has come
   */
  apply(label: Text, choose: () => readonly Picture[], change: (picture: Picture) => Partial<PictureState>): Promise<number> {
    return this.#data.inTurn(async () => {
      const changes = new Map<string, Change>();
      const failed: UserError[] = [];
      const pictures = choose();
      await mapLimit(pictures, 8, async (picture) => {
        let before: PictureState = { caption: picture.caption, choice: picture.choice };
        let after: PictureState = { ...before, ...change(picture) };
        let written: Written | null = null;
        if (after.caption !== before.caption) {
          try {
            const { file, content, caption } = await captionFile(picture);
            before = { ...before, caption };
            after = { ...before, ...change({ ...picture, caption }) };
            if (after.caption !== caption) {
              written = { file, before: content, after: after.caption === '' && content === null ? null : Buffer.from(`${after.caption}\n`) };
              await write(file, written.after);
            }
          } catch (error) {
            if (!(error instanceof UserError)) throw error;
            failed.push(error);
            return;
          }
        }
        Object.assign(picture, after);
        this.#data.revision++;
        if (after.caption !== before.caption || JSON.stringify(after.choice) !== JSON.stringify(before.choice)) changes.set(picture.path, { before, after, written });
      });
      if (changes.size > 0) {
        await this.#keepChoices(new Map([...changes].map(([path, { after }]) => [path, after])));
        this.#push({ label, changes });
      }
      if (failed.length > 0) throw notWritten(failed, pictures.length);
      return changes.size;
    });
  }

  /** What is no change of single pictures and was done already. */
  note(edit: { readonly label: Text; readonly undo: () => Promise<void>; readonly redo: () => Promise<void> }): void {
    this.#push(edit);
  }

  /** Errors: `data.captions`, `data.read-only`, `data.changed-elsewhere`. */
  undo(): Promise<number> {
    return this.#step(this.#done, this.#undone, 'undo');
  }

  redo(): Promise<number> {
    return this.#step(this.#undone, this.#done, 'redo');
  }

  #push(edit: Edit): void {
    this.#done.push(edit);
    this.#done.splice(0, this.#done.length - DEPTH);
    this.#undone.length = 0;
  }

  async #step(from: Edit[], to: Edit[], way: 'undo' | 'redo'): Promise<number> {
    const other = from.at(-1);
    if (other && !('changes' in other)) {
      from.pop();
      // May list the folders, which has a turn of its own.
      await other[way]().catch((error: unknown) => {
        from.push(other);
        throw error;
      });
      to.push(other);
      return 1;
    }
    return this.#data.inTurn(async () => {
      const edit = from.at(-1);
      if (!edit || !('changes' in edit)) return 0;
      const failed: UserError[] = [];
      const foreign: string[] = [];
      const states = new Map<string, PictureState>();
      await mapLimit(edit.changes, 8, async ([path, { before, after, written }]) => {
        let state = way === 'undo' ? before : after;
        if (written) {
          const [expected, wanted] = way === 'undo' ? [written.after, written.before] : [written.before, written.after];
          try {
            const found = await read(written.file);
            if (sameContent(found, expected)) await write(written.file, wanted);
            else if (!sameContent(found, wanted)) {
              foreign.push(written.file);
              state = { ...state, caption: found === null ? '' : decodeCaption(found, written.file) };
            }
          } catch (error) {
            if (!(error instanceof UserError)) throw error;
            failed.push(error);
            return;
          }
        }
        states.set(path, state);
        const picture = this.#data.at(path);
        if (picture) Object.assign(picture, state);
        this.#data.revision++;
      });
      await this.#keepChoices(states);
      if (failed.length > 0) throw notWritten(failed, edit.changes.size);
      to.push(from.pop()!);
      if (foreign.length > 0) {
        throw new UserError('data.changed-elsewhere', `${countOf(foreign.length, 'caption file')} ${foreign.length === 1 ? 'was' : 'were'} changed by another program since ` +
          `(${basename(foreign[0]!)}${foreign.length > 1 ? ', …' : ''}) and stay as they are.`, { files: foreign });
      }
      return states.size;
    });
  }

  async #keepChoices(states: ReadonlyMap<string, PictureState>): Promise<void> {
    for (const [path, { choice }] of states) this.#data.choices.set(path, choice);
    await writeChoices(this.#data.folder, this.#data.choices);
    this.#data.revision++;
  }
}

/** The caption file that counts for a picture, and what it says: the first that says something, else the one to make. */
async function captionFile({ path, caption }: Picture): Promise<{ file: string; content: Content; caption: string }> {
  const stem = path.slice(0, -extname(path).length);
  for (const ending of CAPTION_ENDINGS) {
    const file = stem + ending;
    const content = await read(file);
    const found = content === null ? '' : decodeCaption(content, file);
    if (found !== '') return { file, content, caption: found };
  }
  const file = `${stem}${CAPTION_ENDINGS[0]}`;
  return { file, content: await read(file), caption };
}

/** Error: `files.*`. */
async function read(file: string): Promise<Content> {
  if (!existsSync(file)) return null;
  return readFile(file).catch((error: unknown) => {
    throw readError(error, file, 'a caption file');
  });
}

/** Error: `files.*`. */
async function write(file: string, content: Content): Promise<void> {
  if (content !== null) return writeFileAtomic(file, content);
  await rm(file, { force: true }).catch((error: unknown) => {
    throw writeError(error, file);
  });
}

const sameContent = (a: Content, b: Content): boolean => (a === null || b === null ? a === b : a.equals(b));

/** Captions lie beside the pictures. Error: `data.read-only` where one of their folders cannot be written. */
export async function checkCanWrite(pictures: readonly Picture[]): Promise<void> {
  for (const folder of new Set(pictures.map(({ path }) => dirname(path)))) {
    try {
      // What a system says of permissions is not what it does on every disk.
      await rmdir(await mkdtemp(join(folder, '.adora-')));
    } catch {
      throw readOnly(folder, pictures.filter(({ path }) => dirname(path) === folder).length, pictures.length);
    }
  }
}

const readOnly = (folder: string, failed: number, all: number): UserError => new UserError('data.read-only',
  `${failed === 1 && all === 1 ? 'The caption' : `${failed} of ${countOf(all, 'caption')}`} cannot be written: "${folder}" is read-only or belongs to somebody else, and captions lie beside their pictures. ` +
  'Allow writing there, or add the pictures as files instead of the folder: that copies them into the project.', { folder, failed, all });

function notWritten(failed: readonly UserError[], all: number): UserError {
  const [first] = failed;
  if (failed.every(({ code }) => code === 'files.read-only')) return readOnly(dirname(String(first!.data['path'])), failed.length, all);
  const message = failed.length === 1 && all === 1 ? first!.message : `${failed.length} of ${countOf(all, 'caption')} could not be written. ${first!.message}`;
  return new UserError('data.captions', message, { failed: failed.length, all, first: first!.code });
}
