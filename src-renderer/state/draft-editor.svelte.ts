// A draft that is being edited: every change has a name, shows what it changed, and can be taken back.
import type { Draft, SettingDescription } from '../../src-main/contract/api.ts';
import { changesBetween, withValue, type Change } from './draft.ts';

interface Entry { readonly draft: Draft; readonly label: string; readonly key: string }
const mostEntries = 100;

export class DraftEditor {
  draft = $state.raw<Draft>({});
  /** Drafts before each change, oldest first. */
  #past = $state.raw<readonly Entry[]>([]);
  #future = $state.raw<readonly Entry[]>([]);
  readonly #saved: (draft: Draft) => void;

  constructor(draft: Draft, saved: (draft: Draft) => void) {
    this.draft = draft;
    this.#saved = saved;
  }

  /** Changes with the same `key` in a row are one, as while a slider is dragged; the draft before it is what `beforeOf` gives. */
  change(next: Draft, label: string, key = label): void {
    if (this.#past.at(-1)?.key !== key) this.#past = [...this.#past.slice(1 - mostEntries), { draft: this.draft, label, key }];
    this.#future = [];
    this.#put(next);
  }

  /** The draft that a change with this key starts from. */
  beforeOf(key: string): Draft {
    const last = this.#past.at(-1);
    return last?.key === key ? last.draft : this.draft;
  }

  /** Ends a row of changes, so that the next one with the same key can be taken back by itself. */
  settle(): void {
    const last = this.#past.at(-1);
    if (last !== undefined) this.#past = [...this.#past.slice(0, -1), { ...last, key: `${last.key} ${this.#past.length}` }];
  }

  get last(): string | null { return this.#past.at(-1)?.label ?? null; }
  get next(): string | null { return this.#future.at(-1)?.label ?? null; }

  /** What the last change did to the settings. */
  lastChanges(settings: readonly SettingDescription[]): Change[] {
    const last = this.#past.at(-1);
    return last === undefined ? [] : changesBetween(settings, last.draft, this.draft);
  }

  undo(): void {
    const last = this.#past.at(-1);
    if (last === undefined) return;
    this.#past = this.#past.slice(0, -1);
    this.#future = [...this.#future, { ...last, draft: this.draft }];
    this.#put(last.draft);
  }

  redo(): void {
    const next = this.#future.at(-1);
    if (next === undefined) return;
    this.#future = this.#future.slice(0, -1);
    this.#past = [...this.#past, { ...next, draft: this.draft }];
    this.#put(next.draft);
  }

  /** Takes one setting of the last change back and keeps the others. */
  keepOld(change: Change, isDefault: boolean): void {
    this.#put(withValue(this.draft, change.path, isDefault ? undefined : change.before));
  }

  #put(draft: Draft): void {
    this.draft = draft;
    this.#saved(draft);
  }
}
