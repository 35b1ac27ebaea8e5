// A port as a wire: structured clones between processes or threads.

import type { Wire } from '../../contract/wire.ts';

/** Electron's MessagePortMain and the MessagePort of worker_threads both look like this to us. */
export interface PortLike {
  postMessage(message: unknown): void;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'close', listener: () => void): unknown;
  start?(): void;
}

/** @param dataOf takes the message out of what the port hands over: Electron wraps it in an event */
export function portWire(port: PortLike, dataOf: (message: unknown) => unknown = (message) => message): Wire {
  return {
    send: (message) => port.postMessage(message),
    onMessage: (listener) => {
      port.on('message', (message) => listener(dataOf(message)));
      port.start?.();
    },
    onClose: (listener) => void port.on('close', listener),
  };
}
