// The real command line in a child process, to be killed.
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'vite';
import { afterAll, beforeAll } from 'vitest';
import { buildFolder } from '../scratch.ts';
import { parseEventLine, type TrainEvent } from '../../src-main/contract/events.ts';

export interface Cli {
  run(args: readonly string[], onEvent?: (event: TrainEvent, kill: (signal: NodeJS.Signals) => void) => void): Promise<CliEnd>;
}

export interface CliEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly events: readonly TrainEvent[];
  readonly error: string;
}

/** Builds the command line once for a test file. Its own files (cache and so on) go into `home`. */
export function useCli(home: string): Cli {
  const folder = buildFolder();
  beforeAll(async () => {
    await build({
      configFile: false, logLevel: 'error', publicDir: false,
      build: { ssr: 'src-main/cli.ts', outDir: folder, target: 'node20', minify: false, rolldownOptions: { output: { entryFileNames: 'cli.js' } } },
    });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return {
    run: (args, onEvent) => new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [join(folder, 'cli.js'), ...args, '--json'], { env: { ...process.env, ADORA_HOME: home }, stdio: ['ignore', 'pipe', 'pipe'] });
      const events: TrainEvent[] = [];
      let error = '';
      child.stderr.on('data', (data) => { error += String(data); });
      createInterface({ input: child.stdout }).on('line', (line) => {
        const event = parseEventLine(line);
        if (!event) return;
        events.push(event);
        onEvent?.(event, (signal) => void child.kill(signal));
      });
      child.on('error', reject);
      child.on('close', (code, signal) => resolve({ code, signal, events, error }));
    }),
  };
}
