// The pictures of a project as far as they are on the screen: pages of the list, the selection, edits with undo.
import type { Input, Item, ItemFilter, Output } from '../../src-main/contract/api.ts';
import type { Studio } from './studio.svelte.ts';

const pageSize = 100;
type EditMethod = 'data.setCaption' | 'data.editTags' | 'data.include' | 'data.setFocus' | 'data.setRepeats';
type Change = Output<'data.undo'>;

export class PictureSet {
  readonly projectId: string;
  readonly studio: Studio;
  filter = $state.raw<ItemFilter>({});
  total = $state(0);
  loaded = $state(false);
  undo = $state<string | null>(null);
  redo = $state<string | null>(null);
  selected = $state.raw<ReadonlySet<string>>(new Set());
  currentId = $state<string | null>(null);
  readiness = $state.raw<Output<'data.readiness'> | null>(null);
  tags = $state.raw<Output<'data.tags'>['tags']>([]);
  #pages = $state.raw<ReadonlyMap<number, readonly Item[]>>(new Map());
  #range: readonly [number, number] = [0, pageSize];
  #asked = 0;
  #scanned = false;

  constructor(studio: Studio, projectId: string) {
    this.studio = studio;
    this.projectId = projectId;
  }

  at(index: number): Item | undefined {
    return this.#pages.get(Math.floor(index / pageSize))?.[index % pageSize];
  }

  get current(): Item | null {
    for (const page of this.#pages.values()) for (const item of page) if (item.id === this.currentId) return item;
    return null;
  }

  get isFiltered(): boolean {
    return Object.values(this.filter).some((value) => value !== undefined);
  }

  setFilter(filter: ItemFilter): void {
    this.filter = filter;
    this.selected = new Set();
    void this.reload();
  }

  async reload(): Promise<void> {
    const asked = ++this.#asked;
    const pages = this.#pagesOf(...this.#range);
    const { projectId } = this;
    const answers = await Promise.all(pages.map((page) => this.studio.attempt('data.items', { projectId, offset: page * pageSize, limit: pageSize, filter: this.filter })));
    if (asked !== this.#asked) return;
    const [first] = answers;
    if (first === null || first === undefined) return;
    this.total = first.total;
    this.#pages = new Map(pages.map((page, at) => [page, answers[at]?.items ?? []]));
    this.loaded = true;
    const [history, readiness, tags] = await Promise.all([this.studio.attempt('data.history', { projectId }), this.studio.attempt('data.readiness', { projectId }), this.studio.attempt('data.tags', { projectId })]);
    if (history !== null) this.#tell(history);
    this.readiness = readiness;
    this.tags = tags?.tags ?? [];
    if (!first.scanned && !this.#scanned) await this.scan();
  }

  async scan(): Promise<void> {
    this.#scanned = true;
    const task = await this.studio.attempt('data.scan', { projectId: this.projectId });
    if (task !== null) {
      await this.studio.follow(task.taskId);
      await this.reload();
    }
  }

  /** Loads what the grid shows; pages far away are let go. */
  async want(first: number, last: number): Promise<void> {
    this.#range = [first, Math.max(first, last)];
    const asked = this.#asked;
    const missing = this.#pagesOf(first, last).filter((page) => !this.#pages.has(page) && page * pageSize < this.total);
    if (missing.length === 0) return;
    const answers = await Promise.all(missing.map((page) => this.studio.attempt('data.items', { projectId: this.projectId, offset: page * pageSize, limit: pageSize, filter: this.filter })));
    if (asked !== this.#asked) return;
    this.#pages = new Map([...this.#pages, ...missing.map((page, at) => [page, answers[at]?.items ?? []] as const)].slice(-12));
  }

  #pagesOf(first: number, last: number): number[] {
    const from = Math.floor(Math.max(0, first) / pageSize);
    return Array.from({ length: Math.floor(last / pageSize) - from + 1 }, (_, at) => from + at);
  }

  select(ids: readonly string[]): void {
    this.selected = new Set(ids);
  }

  toggle(id: string): void {
    const next = new Set(this.selected);
    if (!next.delete(id)) next.add(id);
    this.selected = next;
  }

  /** The selection, or what the filter shows when nothing is selected. */
  get target(): Input<'data.include'>['target'] {
    return this.selected.size > 0 ? { ids: [...this.selected] } : { filter: this.filter };
  }

  async edit<Name extends EditMethod>(method: Name, input: Omit<Input<Name>, 'projectId' | 'target'>, ids?: readonly string[]): Promise<void> {
    const answer = await this.studio.attempt(method, { projectId: this.projectId, target: ids === undefined ? this.target : { ids: [...ids] }, ...input } as unknown as Input<Name>);
    if (answer !== null) this.#tell(answer as Change);
    await this.reload();
  }

  include(included: boolean, ids?: readonly string[]): Promise<void> {
    return this.edit('data.include', { included }, ids);
  }

  async step(method: 'data.undo' | 'data.redo'): Promise<void> {
    const answer = await this.studio.attempt(method, { projectId: this.projectId });
    if (answer !== null) this.#tell(answer);
    await this.reload();
  }

  async addFolders(ids: readonly string[]): Promise<void> {
    const project = await this.studio.attempt('projects.update', { id: this.projectId, addFolders: [...ids] });
    if (project === null) return;
    this.studio.project = project;
    await this.scan();
  }

  #tell(change: Change): void {
    this.undo = change.undo;
    this.redo = change.redo;
  }
}
