// The pictures of a project as far as they are on the screen: pages of the list, the selection, edits with undo.
import type { Input, Item, ItemFilter, Output } from '../../src-main/contract/api.ts';
import type { Studio } from './studio.svelte.ts';

const pageSize = 100;
/** The most that one call gives. */
const mostItems = 500;
type Sort = NonNullable<Input<'data.items'>['sort']>;
type EditMethod = 'data.keepBest' | 'data.setCaption' | 'data.editTags' | 'data.include' | 'data.setFocus' | 'data.setRepeats';
type Change = Output<'data.undo'>;

export class PictureSet {
  readonly projectId: string;
  readonly studio: Studio;
  filter = $state.raw<ItemFilter>({});
  sort = $state<Sort>('name');
  total = $state(0);
  isScanning = $state(false);
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
  #revision = -1;
  /** Where a range of pictures begins. */
  anchor = 0;
  #held = $state.raw<Item | null>(null);
  #reloading: Promise<void> | null = null;
  #isStale = false;
  readonly #underWay = new Set<number>();

  constructor(studio: Studio, projectId: string) {
    this.studio = studio;
    this.projectId = projectId;
  }

  at(index: number): Item | undefined {
    return this.#pages.get(Math.floor(index / pageSize))?.[index % pageSize];
  }

  /** The picture whose panel is open, also when it is out of sight or fits the filter no more. */
  get current(): Item | null {
    if (this.currentId === null) return null;
    return this.#loaded(this.currentId) ?? (this.#held?.id === this.currentId ? this.#held : null);
  }

  /** Opens the panel of a neighbour; its index, or null where there is none. */
  async turn(by: 1 | -1): Promise<number | null> {
    const { currentId } = this;
    if (currentId === null) return null;
    const here = [...this.#pages].flatMap(([page, items]) => items.flatMap((item, at) => (item.id === currentId ? [page * pageSize + at] : [])))[0];
    // What fits the filter no more has left its place to the next one.
    const to = here === undefined && by === 1 ? this.anchor : (here ?? this.anchor) + by;
    if (to < 0 || to >= this.total) return null;
    const item = this.at(to) ?? (await this.#page(Math.floor(to / pageSize)))?.items[to % pageSize];
    if (item === undefined || this.currentId !== currentId) return null;
    this.open(item, to);
    return to;
  }

  #loaded(id: string): Item | null {
    for (const page of this.#pages.values()) for (const item of page) if (item.id === id) return item;
    return null;
  }

  /** Opens the panel of a picture; a range that is selected later begins there. */
  open(item: Item, index: number): void {
    this.currentId = item.id;
    this.#held = item;
    this.anchor = index;
  }

  get isFiltered(): boolean {
    return Object.values(this.filter).some((value) => value !== undefined);
  }

  setFilter(filter: ItemFilter): void {
    this.filter = filter;
    this.selected = new Set();
    void this.reload();
  }

  setSort(sort: Sort): void {
    this.sort = sort;
    this.selected = new Set();
    void this.reload();
  }

  /** Reads again what is on the screen, once more when it is asked for meanwhile. */
  reload(): Promise<void> {
    if (this.#reloading !== null) {
      this.#isStale = true;
      return this.#reloading;
    }
    const work = async (): Promise<void> => {
      do {
        this.#isStale = false;
        await this.#read();
      } while (this.#isStale);
    };
    this.#reloading = work().finally(() => { this.#reloading = null; });
    return this.#reloading;
  }

  /** After `data.changed`: only what is older than that is read again. */
  async catchUp(revision: number): Promise<void> {
    if (this.loaded && revision <= this.#revision) return;
    await this.reload();
  }

  async #read(): Promise<void> {
    const asked = ++this.#asked;
    const pages = this.#pagesOf(...this.#range);
    const { projectId } = this;
    const { currentId } = this;
    const [held, ...answers] = await Promise.all([
      currentId === null ? null : this.studio.attempt('data.items', { projectId, limit: 1, filter: { ids: [currentId] } }),
      ...pages.map((page) => this.#page(page)),
    ]);
    if (asked !== this.#asked) return;
    this.#held = held?.items[0] ?? null;
    const [first] = answers;
    if (first === null || first === undefined) return;
    this.total = first.total;
    this.#revision = first.revision;
    this.#pages = new Map(pages.map((page, at) => [page, answers[at]?.items ?? []]));
    this.loaded = true;
    // The grid may show other pictures by now, which were asked for before.
    void this.want(...this.#range);
    const [history, readiness, tags] = await Promise.all([this.studio.attempt('data.history', { projectId }), this.studio.attempt('data.readiness', { projectId }), this.studio.attempt('data.tags', { projectId })]);
    if (history !== null) this.#tell(history);
    this.readiness = readiness;
    this.tags = tags?.tags ?? [];
    // Files may have come or gone since. Not awaited: a scan reads again by itself, and that must not wait for this.
    if (!this.#scanned) void this.scan();
  }

  #page(page: number): Promise<Output<'data.items'> | null> {
    return this.studio.attempt('data.items', { projectId: this.projectId, offset: page * pageSize, limit: pageSize, filter: this.filter, sort: this.sort });
  }

  async scan(): Promise<void> {
    this.#scanned = true;
    const task = await this.studio.attempt('data.scan', { projectId: this.projectId });
    if (task !== null) {
      this.isScanning = true;
      await this.studio.follow(task.taskId);
      this.isScanning = false;
      await this.reload();
    }
  }

  /** Loads what the grid shows; pages far away are let go. */
  async want(first: number, last: number): Promise<void> {
    this.#range = [first, Math.max(first, last)];
    const asked = this.#asked;
    const missing = this.#pagesOf(first, last).filter((page) => !this.#pages.has(page) && !this.#underWay.has(page) && page * pageSize < this.total);
    if (missing.length === 0) return;
    for (const page of missing) this.#underWay.add(page);
    const answers = await Promise.all(missing.map((page) => this.#page(page)));
    for (const page of missing) this.#underWay.delete(page);
    // Read again meanwhile: these are old, and what is in sight now is asked for once more.
    if (asked !== this.#asked) return this.want(...this.#range);
    this.#pages = new Map([...this.#pages, ...missing.map((page, at) => [page, answers[at]?.items ?? []] as const)].slice(-12));
  }

  #pagesOf(first: number, last: number): number[] {
    const from = Math.floor(Math.max(0, first) / pageSize);
    return Array.from({ length: Math.floor(last / pageSize) - from + 1 }, (_, at) => from + at);
  }

  select(ids: readonly string[]): void {
    this.selected = new Set(ids);
  }

  /** From the picture that was chosen last to this one, also where they are not loaded. */
  async selectTo(index: number): Promise<void> {
    await this.selectRange(Math.min(this.anchor, index), Math.max(this.anchor, index));
  }

  async selectRange(first: number, last: number): Promise<void> {
    const ids: string[] = [];
    for (let offset = first; offset <= last; offset += mostItems) {
      const answer = await this.studio.attempt('data.items', { projectId: this.projectId, offset, limit: Math.min(mostItems, last - offset + 1), filter: this.filter, sort: this.sort });
      if (answer === null) return;
      ids.push(...answer.items.map((item) => item.id));
    }
    this.selected = new Set([...this.selected, ...ids]);
  }

  toggle(id: string, index: number): void {
    this.anchor = index;
    const next = new Set(this.selected);
    if (!next.delete(id)) next.add(id);
    this.selected = next;
  }

  /** The selection, or what the filter shows when nothing is selected. */
  get target(): Input<'data.include'>['target'] {
    return this.selected.size > 0 ? { ids: [...this.selected] } : { filter: this.filter };
  }

  async edit<Name extends EditMethod>(method: Name, input: Omit<Input<Name>, 'projectId' | 'target'>, ids?: readonly string[]): Promise<number | null> {
    const answer = await this.studio.attempt(method, { projectId: this.projectId, target: ids === undefined ? this.target : { ids: [...ids] }, ...input } as unknown as Input<Name>);
    if (answer === null) return null;
    const change = answer as Change;
    this.#tell(change);
    await this.#settled(change);
    return change.changed;
  }

  /** The event that tells of a change comes before the answer, so what is under way then shows the change already. */
  async #settled({ changed }: Change): Promise<void> {
    if (this.#reloading !== null) await this.#reloading;
    else if (changed > 0) await this.catchUp(Math.max(this.studio.dataRevision, this.#revision + Number(this.studio.dataRevision === 0)));
  }

  include(included: boolean, ids?: readonly string[]): Promise<number | null> {
    return this.edit('data.include', { included }, ids);
  }

  async step(method: 'data.undo' | 'data.redo'): Promise<void> {
    const answer = await this.studio.attempt(method, { projectId: this.projectId });
    if (answer === null) return;
    this.#tell(answer);
    // Folders and the trigger word are the project's.
    await Promise.all([this.#settled(answer), this.studio.reloadProject()]);
  }

  async setPrefix(prefix: string): Promise<boolean> {
    const answer = await this.studio.attempt('data.setPrefix', { projectId: this.projectId, prefix });
    if (answer === null) return false;
    this.#tell(answer);
    await Promise.all([this.#settled(answer), this.studio.reloadProject()]);
    return true;
  }

  /** What was dropped on the desktop. */
  async bring(fileIds: readonly string[]): Promise<void> {
    const task = await this.studio.attempt('data.bring', { projectId: this.projectId, fileIds: [...fileIds] });
    if (task === null) return;
    await this.studio.follow(task.taskId);
    await this.studio.reloadProject();
    await this.scan();
  }

  async addFolders(ids: readonly string[]): Promise<void> {
    const project = await this.studio.attempt('projects.update', { id: this.projectId, addFolders: [...ids] });
    if (project === null) return;
    this.studio.project = project;
    await this.scan();
  }

  #tell(change: Change): void {
    this.undo = change.undo?.text ?? null;
    this.redo = change.redo?.text ?? null;
  }
}
