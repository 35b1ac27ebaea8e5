// Messages between a window and the app: JSON texts over a WebSocket, structured clones over a port.

import type { Problem } from './api-parts.ts';

/** Window to app. Ids count up from 1 in each connection. */
export interface CallMessage {
  readonly id: number;
  readonly method: string;
  readonly input: unknown;
}

/** App to window: the answer to a call, or an event. */
export type AppMessage =
  | { readonly id: number; readonly ok: true; readonly output: unknown }
  | { readonly id: number; readonly ok: false; readonly error: Problem }
  | { readonly event: string; readonly data: unknown };

/** One end of a connection, whatever carries it. */
export interface Wire {
  send(message: unknown): void;
  /** Called with each message of the other end. */
  onMessage(listener: (message: unknown) => void): void;
  onClose(listener: () => void): void;
}
