// Pictures for comparing: those that the app has are shown at once, the others are painted when they are asked for.
import type { RenderItem, Task } from '../../src-main/contract/api.ts';
import { keyOf, mostPictures } from './compare.ts';
import type { Studio } from './studio.svelte.ts';

/** The task's label says for what. */
const isWaiting = (task: Task | null): boolean => task?.code.startsWith('task.waits') ?? false;

export class Paintings {
  images = $state.raw<ReadonlyMap<string, string>>(new Map());
  /** What is being painted now; null when nothing is. */
  taskId = $state<string | null>(null);
  readonly #studio: Studio;
  /** Counts up with each wish: an older one is over when a newer one begins. */
  #wish = 0;

  constructor(studio: Studio) {
    this.#studio = studio;
  }

  urlOf(item: RenderItem): string | null {
    return this.images.get(keyOf(item)) ?? null;
  }

  /** False while something else has the device. */
  get isPainting(): boolean {
    return this.taskId !== null && !isWaiting(this.progress);
  }

  get progress(): Task | null {
    return this.#studio.tasks.find(({ id }) => id === this.taskId) ?? null;
  }

  /** Asks for what is there already. */
  async look(items: readonly RenderItem[]): Promise<void> {
    for (let at = 0; at < items.length; at += mostPictures) {
      const part = items.slice(at, at + mostPictures);
      const answer = await this.#studio.call('runs.compareRender', { items: part, onlyMade: true }).catch(() => null);
      if (answer !== null) this.#keep(part, answer.images);
    }
  }

  /** Paints what is missing; what an earlier wish still paints is stopped. Resolves when all is there or it was stopped. */
  async make(items: readonly RenderItem[]): Promise<void> {
    const wish = ++this.#wish;
    this.#stop();
    const part = items.slice(0, mostPictures);
    // Twice: another task may have painted some of them meanwhile.
    for (let round = 0; round < 2 && wish === this.#wish; round++) {
      const answer = await this.#studio.attempt('runs.compareRender', { items: [...part] });
      if (answer === null || wish !== this.#wish) return;
      this.#keep(part, answer.images);
      if (answer.taskId === null) return;
      this.taskId = answer.taskId;
      const off = this.#studio.bridge.on('task.progress', (task) => { if (task.id === answer.taskId && task.done > 0) void this.look(part); });
      const { state } = await this.#studio.follow(answer.taskId);
      off();
      if (this.taskId === answer.taskId) this.taskId = null;
      await this.look(part);
      if (state !== 'done') return;
    }
  }

  cancel(): void {
    this.#wish++;
    this.#stop();
  }

  #stop(): void {
    if (this.taskId !== null) void this.#studio.attempt('tasks.cancel', { taskId: this.taskId });
    this.taskId = null;
  }

  #keep(items: readonly RenderItem[], urls: readonly (string | null)[]): void {
    const found = items.flatMap((item, at) => {
      const [key, url] = [keyOf(item), urls[at] ?? null];
      return url === null || this.images.get(key) === url ? [] : [[key, url] as const];
    });
    if (found.length === 0) return;
    this.images = new Map([...this.images, ...found]);
    // Fetched now, so that moving a slider shows them at once.
    for (const [, url] of found) new Image().src = url;
  }
}
