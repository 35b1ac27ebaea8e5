// adora serve: the studio as a page in the browser.

import { Option, type Command } from 'commander';

import { wholeNumber } from '../arguments.ts';
import type { RunInSession } from '../run-cli.ts';
import type { CommandResult } from '../session.ts';

export interface ServeRequest {
  readonly port: number;
  readonly open: boolean;
}

export type Serve = (request: ServeRequest, context: { readonly shouldStop: () => boolean; readonly out: (text: string) => void; readonly error: (text: string) => void }) => Promise<CommandResult>;

export function addServe(program: Command, inSession: RunInSession, serve: Serve, io: { out(text: string): void; error(text: string): void }): void {
  program.command('serve')
    .description('open the studio in the browser; it is reachable from this machine only')
    .addOption(new Option('--port <number>', 'port on 127.0.0.1; 0 takes a free one').argParser(wholeNumber(0, 65535)).default(0))
    .option('--no-open', 'only print the address')
    .action(async (request: ServeRequest) => {
      await inSession(false, async (session) => session.result('serve', await serve(request, { shouldStop: session.shouldStop, out: io.out, error: io.error })));
    });
}
