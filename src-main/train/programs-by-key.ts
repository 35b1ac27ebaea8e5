// Compiled programs by key, made when first needed. A program that fails to compile is forgotten, so that the next request
// tries again and giving everything back does not fail.
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
    for (const made of await Promise.allSettled(all)) if (made.status === 'fulfilled') await made.value.dispose();
  }
}
