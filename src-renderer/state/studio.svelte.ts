// What the whole window knows: where it is, the open project, runs, background work, messages.
import type { EventData, FileRef, Input, Method, Output, Project, Run, Settings, Task } from '../../src-main/contract/api.ts';
import { CallError, type Bridge, type Connection } from '../bridge.ts';
import { rememberLocale, t } from '../messages.ts';
import { applyTheme } from '../theme.ts';
import { show } from './format.ts';
import { RunFeed } from './run-feed.svelte.ts';

export const screens = ['home', 'data', 'train', 'compare', 'export', 'library', 'settings'] as const;
export type Screen = (typeof screens)[number];
type Info = Output<'app.info'>;
export interface Toast { readonly id: number; readonly kind: 'info' | 'good' | 'bad'; readonly text: string; readonly action?: { label: string; run: () => void } }
export interface PickRequest { readonly kind: Input<'files.pick'>['kind']; readonly many: boolean; readonly title: string; readonly done: (files: FileRef[]) => void }

export class Studio {
  readonly bridge: Bridge;
  connection = $state<Connection>('connecting');
  screen = $state<Screen>('home');
  info = $state.raw<Info | null>(null);
  settings = $state.raw<Settings | null>(null);
  project = $state.raw<Project | null>(null);
  /** The run at work, else the one that was paused last. */
  active = $state.raw<Run | null>(null);
  paused = $state.raw<readonly Run[]>([]);
  waiting = $state.raw<readonly Run[]>([]);
  /** Ids of waiting runs that wait until somebody says so: left from an earlier session, or behind one that was paused. */
  held = $state.raw<readonly string[]>([]);
  tasks = $state.raw<readonly Task[]>([]);
  toasts = $state.raw<readonly Toast[]>([]);
  catalog = $state.raw<Output<'catalog.describe'> | null>(null);
  /** The run whose charts, comparisons and exports are shown. */
  runId = $state<string | null>(null);
  feed = $state.raw<RunFeed | null>(null);
  activeFeed = $state.raw<RunFeed | null>(null);
  picking = $state.raw<PickRequest | null>(null);
  sheet = $state<'palette' | 'shortcuts' | null>(null);
  dataRevision = $state(0);
  #toastId = 0;
  readonly #taskEnds = new Map<string, ((task: Task) => void)[]>();

  constructor(bridge: Bridge) {
    this.bridge = bridge;
    const [screen, projectId, runId] = location.hash.replace(/^#\/?/, '').split('/');
    const wanted = screens.find((name) => name === screen);
    bridge.on('run.changed', (run) => this.#runChanged(run));
    bridge.on('queue.changed', (queue) => this.#queueChanged(queue));
    bridge.on('task.progress', (task) => this.#taskChanged(task));
    bridge.on('settings.changed', (settings) => this.#settingsChanged(settings));
    bridge.on('data.changed', (data) => { if (data.projectId === this.project?.id) this.dataRevision = data.revision; });
    let first = true;
    bridge.onConnection((state) => {
      this.connection = state;
      if (state !== 'open') return;
      void this.#refresh(first ? { screen: wanted ?? 'home', projectId, runId } : null);
      first = false;
    });
  }

  call<Name extends Method>(method: Name, input: Input<Name>): Promise<Output<Name>> {
    return this.bridge.call(method, input);
  }

  /** A call whose failure is told to the user; null then. */
  async attempt<Name extends Method>(method: Name, input: Input<Name>): Promise<Output<Name> | null> {
    try {
      return await this.bridge.call(method, input);
    } catch (error) {
      this.problem(error);
      return null;
    }
  }

  async #refresh(route: { screen: Screen; projectId: string | undefined; runId: string | undefined } | null): Promise<void> {
    try {
      const [info, settings, queue, tasks, catalog] = await Promise.all([
        this.call('app.info', {}), this.call('settings.get', {}), this.call('runs.queue', {}), this.call('tasks.list', {}), this.call('catalog.describe', {}),
      ]);
      this.info = info;
      this.catalog = catalog;
      this.#settingsChanged(settings);
      this.tasks = tasks.tasks;
      this.#queueChanged(queue);
      await Promise.all([this.feed?.load(), this.activeFeed === this.feed ? undefined : this.activeFeed?.load()]);
      if (route?.projectId !== undefined && route.projectId !== '') {
        if (await this.openProject(route.projectId)) {
          if (route.runId !== undefined && route.runId !== '') this.showRun(route.runId);
          this.go(route.screen);
        }
      } else if (route !== null) {
        this.go(route.screen);
      } else if (this.project !== null) {
        await this.reloadProject();
      }
    } catch (error) {
      this.problem(error);
    }
  }

  go(screen: Screen): void {
    this.screen = screen;
    const parts = [screen, this.project?.id, this.project === null ? undefined : this.runId ?? undefined].filter((part) => part !== undefined);
    history.replaceState(null, '', `#/${parts.join('/')}`);
  }

  async openProject(id: string): Promise<boolean> {
    const project = await this.attempt('projects.open', { id });
    if (project === null) return false;
    this.useProject(project);
    return true;
  }

  useProject(project: Project): void {
    this.project = project;
    const running = this.active?.projectId === project.id ? this.active.id : undefined;
    this.showRun(running ?? project.runs[0]?.id ?? null);
  }

  async reloadProject(): Promise<void> {
    if (this.project === null) return;
    const { id } = this.project;
    const project = await this.attempt('projects.open', { id });
    if (project !== null && this.project?.id === id) this.project = project;
  }

  showRun(id: string | null): void {
    if (this.runId === id && this.feed !== null) return;
    if (this.feed !== this.activeFeed) this.feed?.close();
    this.runId = id;
    this.feed = id === null ? null : this.activeFeed?.runId === id ? this.activeFeed : new RunFeed(this.bridge, id);
    if (this.project !== null) this.go(this.screen);
  }

  get run(): Run | null {
    if (this.runId === null) return null;
    return [this.active, ...this.paused, ...this.waiting, ...(this.project?.runs ?? [])].find((run) => run?.id === this.runId) ?? null;
  }

  #runChanged(run: Run): void {
    if (this.active?.id === run.id) { this.active = run; this.#spare(); }
    const { project } = this;
    if (project === null || project.id !== run.projectId) return;
    const known = project.runs.some((entry) => entry.id === run.id);
    this.project = { ...project, runs: known ? project.runs.map((entry) => (entry.id === run.id ? run : entry)) : [run, ...project.runs] };
    if (run.state === 'crashed' || run.state === 'failed') this.toast('bad', t.parts.studio.ended(run.name, run.problem?.message ?? t.parts.studio.selfEnded));
    if (run.state === 'finished') this.toast('good', t.parts.studio.finished(run.name), { label: t.parts.studio.export, run: () => { this.showRun(run.id); this.go('export'); } });
  }

  #queueChanged(queue: EventData<'queue.changed'>): void {
    this.active = queue.active ?? queue.paused.at(-1) ?? null;
    this.paused = queue.paused;
    this.waiting = queue.waiting;
    this.held = queue.held;
    this.#spare();
    const id = this.active?.id ?? null;
    if (this.activeFeed?.runId === id) return;
    if (this.activeFeed !== this.feed) this.activeFeed?.close();
    this.activeFeed = id === null ? null : this.feed?.runId === id ? this.feed : new RunFeed(this.bridge, id);
  }

  #settingsChanged(settings: Settings): void {
    this.settings = settings;
    applyTheme(settings.theme);
    this.#spare();
    if (rememberLocale(settings.locale)) location.reload();
  }

  /** A training has the device: what else computes waits for it. */
  get isTraining(): boolean {
    return this.active !== null && ['preparing', 'running', 'pausing', 'stopping'].includes(this.active.state);
  }

  /** The graphics card belongs to the training: no WebGPU, no movement, no large pictures. */
  get isSparing(): boolean {
    return this.settings?.lowVram === true && this.isTraining;
  }

  /** For style sheets and for what draws by itself. */
  #spare(): void {
    document.documentElement.toggleAttribute('data-sparing', this.isSparing);
  }

  #taskChanged(task: Task): void {
    const known = this.tasks.some((entry) => entry.id === task.id);
    this.tasks = known ? this.tasks.map((entry) => (entry.id === task.id ? task : entry)) : [...this.tasks, task];
    if (task.state === 'running') return;
    for (const end of this.#taskEnds.get(task.id) ?? []) end(task);
    this.#taskEnds.delete(task.id);
  }

  /** Resolves when the task is over, however it ended; a failure is told to the user unless `quiet`. */
  async follow(taskId: string, quiet = false): Promise<Task> {
    const known = this.tasks.find((task) => task.id === taskId);
    const task = known !== undefined && known.state !== 'running' ? known : await new Promise<Task>((resolve) => {
      this.#taskEnds.set(taskId, [...(this.#taskEnds.get(taskId) ?? []), resolve]);
      // It may have ended before anybody listened.
      void this.call('tasks.list', {}).then(({ tasks }) => { for (const entry of tasks) if (entry.id === taskId) this.#taskChanged(entry); }, () => {});
    });
    if (task.state === 'failed' && !quiet) this.toast('bad', task.problem?.message ?? t.parts.studio.taskFailed(task.label));
    return task;
  }

  toast(kind: Toast['kind'], text: string, action?: Toast['action']): void {
    const id = ++this.#toastId;
    this.toasts = [...this.toasts.filter((toast) => toast.text !== text).slice(-3), { id, kind, text, ...(action === undefined ? {} : { action }) }];
    setTimeout(() => this.dismiss(id), kind === 'bad' ? 15_000 : 6000);
  }

  dismiss(id: number): void {
    this.toasts = this.toasts.filter((toast) => toast.id !== id);
  }

  problem(error: unknown): void {
    if (error instanceof CallError && error.code === 'bridge.lost') return;
    this.toast('bad', error instanceof Error ? error.message : String(error));
  }

  /** Lets the user choose files: the system's dialog on the desktop, our own in the browser. Empty when cancelled. */
  async pick(kind: PickRequest['kind'], title: string, many = false): Promise<FileRef[]> {
    if (this.info?.mode === 'desktop') return (await this.attempt('files.pick', { kind, many, title, filter: kind === 'folder' ? '' : t.parts.picker.kinds[kind] }))?.files ?? [];
    return new Promise((resolve) => { this.picking = { kind, many, title, done: (files) => { this.picking = null; resolve(files); } }; });
  }

  modelName({ id, name }: { readonly id: string; readonly name: string }): string {
    return id === this.info?.starterModelId ? t.library.starter : name;
  }

  /** What a run trains, by the kind that its log has. */
  adapterName(kind: string): string {
    return kind === 'full' ? t.train.wholeWeights : this.catalog?.adapters.find(({ id }) => id === kind)?.label ?? kind;
  }

  /** Knows what each device is called. */
  readonly deviceField = $derived.by(() => {
    const field = this.catalog?.settings.find(({ path }) => path === 'train.device')?.field;
    return field?.kind === 'choice' ? field : undefined;
  });

  /** A device as people call it; empty where none is named. */
  deviceName(name: string): string {
    return name === '' ? '' : show(name, this.deviceField);
  }

  async goOn(wanted: boolean): Promise<void> {
    await this.attempt(wanted ? 'runs.goOn' : 'runs.forget', {});
    await this.reloadProject();
  }

  async control(action: 'runs.pause' | 'runs.resume' | 'runs.stop' | 'runs.sampleNow', runId: string): Promise<void> {
    const run = await this.attempt(action, { runId });
    if (run !== null) this.#runChanged(run);
    if (run !== null && action === 'runs.sampleNow') this.toast('info', t.parts.studio.sample);
  }
}
