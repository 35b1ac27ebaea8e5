// Measurements of pictures, kept in the cache folder and valid as long as a file's size and time are the same.

import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { writeFileAtomic } from '../../files/atomic-write.ts';
import type { PictureFacts } from '../../dataset/picture-facts.ts';
import { say, type Text } from '../../contract/text.ts';
import { readObject } from '../settings.ts';

type Cached = PictureFacts & { readonly stamp: string };
interface Bad extends Text {
  readonly stamp: string;
}

export class FactsCache {
  readonly #file: string;
  readonly #thumbnails: string;
  readonly #facts: Map<string, Cached>;
  /** Pictures that cannot be read, with the sentence that says why. */
  readonly #bad: Map<string, Bad>;

  constructor(cacheFolder: string, project: string) {
    const name = createHash('sha256').update(project).digest('hex').slice(0, 24);
    this.#file = join(cacheFolder, 'pictures', `${name}.json`);
    this.#thumbnails = join(cacheFolder, 'thumbnails');
    const { facts = {}, bad = {} } = readObject(this.#file);
    this.#facts = new Map(Object.entries(facts as object) as [string, Cached][]);
    this.#bad = new Map(Object.entries(bad as object) as [string, Bad][]);
  }

  get(path: string): PictureFacts | null {
    const facts = this.#facts.get(path);
    return facts && facts.stamp === stampOf(path).content ? facts : null;
  }

  problem(path: string): Text | null {
    const bad = this.#bad.get(path);
    // Without a code: of an earlier version.
    return bad && typeof bad.code === 'string' && bad.stamp === stampOf(path).access ? say(bad.code, bad.text, bad.data) : null;
  }

  thumbnail(contentHash: string): string {
    return join(this.#thumbnails, contentHash.slice(0, 2), `${contentHash}.webp`);
  }

  hasThumbnail(file: string): boolean {
    return existsSync(file);
  }

  /** @param stamp taken before the file was read, so that a change meanwhile is seen later */
  set(path: string, { content }: Stamp, facts: PictureFacts): void {
    this.#bad.delete(path);
    this.#facts.set(path, { ...facts, stamp: content });
  }

  setBad(path: string, { access }: Stamp, problem: Text): void {
    this.#facts.delete(path);
    this.#bad.set(path, { ...problem, stamp: access });
  }

  /** Keeps what is known of `paths` only. */
  async save(paths: ReadonlySet<string>): Promise<void> {
    for (const known of [this.#facts, this.#bad]) for (const path of known.keys()) if (!paths.has(path)) known.delete(path);
    await writeFileAtomic(this.#file, JSON.stringify({ facts: Object.fromEntries(this.#facts), bad: Object.fromEntries(this.#bad) }));
  }
}

export interface Stamp {
  readonly content: string;
  /** Changes with permissions too, which may be why a file could not be read. */
  readonly access: string;
}

export function stampOf(path: string): Stamp {
  const facts = statSync(path, { throwIfNoEntry: false });
  if (!facts) return { content: 'gone', access: 'gone' };
  const content = `${facts.size}:${Math.round(facts.mtimeMs)}`;
  return { content, access: `${content}:${Math.round(facts.ctimeMs)}` };
}
