// A WebSocket as a wire: JSON texts.

import type { WebSocket } from 'ws';

import type { Wire } from '../../contract/wire.ts';

/** A window that reads so slowly that this much waits for it is cut off; it asks for a snapshot when it comes back. */
const MOST_BUFFERED = 64 * 1024 * 1024;

/** What is no JSON text closes the connection with 1007 (RFC 6455: data that do not fit the type). */
export function webSocketWire(socket: WebSocket): Wire {
  return {
    send: (message) => {
      if (socket.readyState !== socket.OPEN) return;
      if (socket.bufferedAmount > MOST_BUFFERED) socket.terminate();
      else socket.send(JSON.stringify(message));
    },
    onMessage: (listener) => void socket.on('message', (data: Buffer, isBinary: boolean) => {
      let message: unknown;
      try {
        if (isBinary) throw new Error('binary');
        message = JSON.parse(data.toString('utf8'));
      } catch {
        socket.close(1007);
        return;
      }
      listener(message);
    }),
    onClose: (listener) => void socket.on('close', listener),
  };
}
