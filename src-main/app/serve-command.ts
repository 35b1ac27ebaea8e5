// `adora serve`: the studio in the browser, until it is stopped.

import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { UserError } from '../base/errors.ts';
import { serveStudio } from './server/serve-studio.ts';
import { createStudio } from './studio.ts';
import { forkHost } from './trainer/fork-host.ts';

export interface ServeRequest {
  /** 0: any free one. */
  readonly port: number;
  readonly open: boolean;
}

interface Context {
  readonly shouldStop: () => boolean;
  readonly out: (text: string) => void;
  readonly error: (text: string) => void;
}

const POLL_MILLISECONDS = 100;

/** @param entry the program's own entry; trainer and page lie beside it. Errors: `serve.not-built`, `serve.port`. */
export async function serveCommand({ port, open }: ServeRequest, { shouldStop, out, error }: Context, entry: string): Promise<{ text: string; data: unknown }> {
  const built = dirname(realpathSync(entry));
  const renderer = join(built, '..', 'renderer');
  if (!existsSync(join(renderer, 'index.html'))) throw new UserError('serve.not-built', 'The page of the studio is not built: run npm run build.', { renderer });
  const studio = createStudio({ mode: 'browser', host: forkHost(join(built, 'trainer.js')), assets: join(built, '..', '..', 'assets') });
  const server = await serveStudio({ studio, renderer, port, onFault: (fault) => error(`${fault instanceof Error ? fault.stack ?? fault.message : String(fault)}\n`) });
  out(`Adora is at ${server.url}\nThe address works once; Ctrl-C ends the program, saving a training first.\n`);
  if (open) openBrowser(server.url);
  while (!shouldStop()) await sleep(POLL_MILLISECONDS);
  await studio.dispose();
  await server.close();
  return { text: 'Stopped.', data: { port: server.port } };
}

/** What cannot be opened can be typed. */
function openBrowser(url: string): void {
  const [program, args] = process.platform === 'win32' ? ['rundll32', ['url.dll,FileProtocolHandler', url]] as const
    : process.platform === 'darwin' ? ['open', [url]] as const : ['xdg-open', [url]] as const;
  const child = spawn(program, [...args], { stdio: 'ignore', detached: true });
  child.on('error', () => {});
  child.unref();
}
