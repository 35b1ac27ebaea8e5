// One invocation of a command: where its events go (text or NDJSON), how it is interrupted, how it ends.

import { eventLine, type TrainEvent, type TrainEventBody } from '../contract/events.ts';
import { exitCodeOf, exitCodes, type ExitCode } from './exit-codes.ts';
import { listenForInterrupt } from './interrupt.ts';
import { createProgress } from './progress.ts';
import { failureText } from './report-error.ts';

/** The outside of the command line; tests hand in their own. */
export interface CommandLineIo {
  readonly isTerminal: boolean;
  readonly hasColour: boolean;
  columns(): number;
  out(text: string): void;
  error(text: string): void;
  /** Milliseconds since 1970. */
  now(): number;
}

/** What an engine function gets besides its request. */
export interface CommandContext {
  readonly onEvent: (event: TrainEventBody) => void;
  readonly shouldStop: () => boolean;
}

/** What a command that does not train gives back: `text` for people, `data` for `--json`. `ok` false exits with 1. */
export interface CommandResult {
  readonly text: string;
  readonly data: unknown;
  readonly ok?: boolean;
}

export interface Session extends CommandContext {
  /** Shows an event that already has its stamp, from a run's log. */
  show(event: TrainEvent): void;
  result(command: string, result: CommandResult): ExitCode;
}

/** Runs `body` with signals handled; whatever it throws is reported and becomes the exit code. */
export async function runSession(
  io: CommandLineIo, isJson: boolean, body: (session: Session) => Promise<ExitCode>,
): Promise<ExitCode> {
  const progress = createProgress({ ...io, write: io.out });
  let seq = -1;
  let hasFailed = false;
  const show = (event: TrainEvent): void => {
    seq = event.seq;
    if (event.kind === 'failed') hasFailed = true;
    if (isJson) io.out(`${eventLine(event)}\n`);
    else progress.show(event);
  };
  const onEvent = (event: TrainEventBody): void => show({ ...event, seq: seq + 1, time: io.now() });
  const interrupt = listenForInterrupt(() => {
    progress.end();
    io.error('Stopping; once more to stop at once and lose what is not saved.\n');
  }, io.now);
  const result = (command: string, { text, data, ok = true }: CommandResult): ExitCode => {
    progress.end();
    if (isJson) onEvent({ kind: 'result', command, ok, data });
    else io.out(text.endsWith('\n') ? text : `${text}\n`);
    return ok ? exitCodes.ok : exitCodes.failed;
  };
  try {
    const code = await body({ show, onEvent, result, shouldStop: interrupt.shouldStop });
    progress.end();
    return code;
  } catch (error) {
    progress.end();
    const { code, text, data, stack } = failureText(error);
    if (isJson) {
      if (!hasFailed) onEvent({ kind: 'failed', code, text, data });
    } else io.error(`adora: ${text}\n`);
    if (stack !== null) io.error(`${stack}\n`);
    return exitCodeOf(code);
  } finally {
    interrupt.dispose();
  }
}
