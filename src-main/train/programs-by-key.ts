// Compiled programs by key, made when first needed. A program that fails to compile is forgotten, so that the next request
// tries again and giving everything back does not fail.
import { disposeAll } from '../base/dispose.ts';
import type { Program } from '../runtime/runtime.ts';

export class ProgramsByKey {
  private readonly programs = new Map<string, Promise<Program>>();

  get(key: string, compile: () => Promise<Program>): Promise<Program> {
    const known = this.programs.get(key);
    if (known) return known;
    const program = compile();
    this.programs.set(key, program);
    program.catch(() => this.programs.delete(key));
    return program;
  }

  async dispose(): Promise<void> {
    const all = [...this.programs.values()];
    this.programs.clear();
    const settled = await Promise.allSettled(all);
    await disposeAll(settled.flatMap((made) => (made.status === 'fulfilled' ? [made.value] : [])));
  }
}
