// A runtime that adds up the time spent inside the device's library.
import type { Program, Runtime } from '../runtime/runtime.ts';

export interface TimedRuntime {
  readonly runtime: Runtime;
  /** Seconds in runs of all programs so far. */
  seconds(): number;
}

export function timeRuntime(inner: Runtime): TimedRuntime {
  const running = new Set<Program>();
  let finished = 0;
  const runtime: Runtime = {
    device: inner.device,
    upload: (tensor) => inner.upload(tensor),
    compile: async (graph, options) => {
      const program = await inner.compile(graph, options);
      running.add(program);
      return {
        run: (feeds) => program.run(feeds),
        get timing() {
          return program.timing;
        },
        dispose: async () => {
          if (running.delete(program)) finished += program.timing.device;
          await program.dispose();
        },
      };
    },
  };
  return { runtime, seconds: () => [...running].reduce((sum, { timing }) => sum + timing.device, finished) / 1000 };
}
