// One suite over both transports: what is validated, what is refused, what arrives.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MessageChannel } from 'node:worker_threads';

import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';

import { createBus, type Bus } from '../../src-main/app/bus.ts';
import { client, serve, type Handlers } from '../../src-main/app/rpc.ts';
import { portWire } from '../../src-main/app/wires/port.ts';
import { webSocketWire } from '../../src-main/app/wires/websocket.ts';
import { UserError } from '../../src-main/base/errors.ts';
import type { Wire } from '../../src-main/contract/wire.ts';

const settings = { folders: [], device: 'cpu', theme: 'dark', lowVram: false, locale: 'en' } as const;

/** Only what the tests call; the rest would be a fault. */
const handlers = {
  'settings.get': () => ({ ...settings, folders: [] }),
  'settings.set': (change: { theme?: string }) => ({ ...settings, folders: [], ...(change.theme ? { theme: change.theme } : {}) }),
  'projects.list': () => ({ projects: [], extra: 1 }),
  'projects.open': ({ id }: { id: string }) => {
    throw new UserError('projects.unknown', 'No such project.', { id });
  },
  'tasks.list': () => {
    throw new Error('a fault');
  },
} as unknown as Handlers;

const closing: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

interface Ends {
  readonly app: Wire;
  readonly page: Wire;
  /** Sends as the transport itself would, without a client. */
  readonly raw: (message: unknown) => void;
  readonly closePage: () => void;
}

const transports: Record<string, () => Promise<Ends>> = {
  port: async () => {
    const { port1, port2 } = new MessageChannel();
    closing.push(() => port1.close());
    return { app: portWire(port1), page: portWire(port2), raw: (message) => port2.postMessage(message), closePage: () => port2.close() };
  },
  WebSocket: async () => {
    const server: Server = createServer();
    const sockets = new WebSocketServer({ server });
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    const socket = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const [other] = await Promise.all([
      new Promise<WebSocket>((resolve) => { sockets.once('connection', resolve); }),
      new Promise<void>((resolve) => { socket.once('open', () => resolve()); }),
    ]);
    closing.push(async () => {
      socket.terminate();
      sockets.close();
      server.close();
    });
    return { app: webSocketWire(other), page: webSocketWire(socket), raw: (message) => socket.send(JSON.stringify(message)), closePage: () => socket.close() };
  },
};

describe.each(Object.entries(transports))('over a %s', (_, connect) => {
  const start = async () => {
    const bus: Bus = createBus();
    const ends = await connect();
    const faults: unknown[] = [];
    serve(ends.app, handlers, bus, (fault) => faults.push(fault));
    return { ...ends, bus, faults, page: client(ends.page) };
  };

  test('calls are answered, defaults filled in', async () => {
    const { page } = await start();
    expect(await page.call('settings.get')).toEqual({ ...settings, folders: [] });
    expect((await page.call('settings.set', { theme: 'light' })).theme).toBe('light');
  });

  test('a wrong input is refused with the place of the fault', async () => {
    const { page } = await start();
    await expect(page.call('settings.set', { theme: 'pink' } as never)).rejects.toMatchObject({ code: 'call.input', message: expect.stringContaining('theme') as string });
    await expect(page.call('settings.set', { path: '/etc/passwd' } as never)).rejects.toMatchObject({ code: 'call.input' });
    await expect(page.call('projects.open', { id: '../../etc' })).rejects.toMatchObject({ code: 'call.input' });
  });

  test.each(['nothing.here', '__proto__', 'constructor', 'toString', 'hasOwnProperty'])('there is no method %s', async (method) => {
    const { page } = await start();
    await expect(page.call(method as never, {} as never)).rejects.toMatchObject({ code: 'call.unknown' });
  });

  test('an output that breaks the contract is our fault and is not sent', async () => {
    const { page, faults } = await start();
    await expect(page.call('projects.list')).rejects.toMatchObject({ code: 'internal' });
    expect(faults).toHaveLength(1);
  });

  test('errors of handlers keep code, message and details; faults keep their stack here', async () => {
    const { page, faults } = await start();
    await expect(page.call('projects.open', { id: 'abc' })).rejects.toMatchObject({ code: 'projects.unknown', message: 'No such project.', data: { id: 'abc' } });
    expect(faults).toHaveLength(0);
    await expect(page.call('tasks.list')).rejects.toMatchObject({ code: 'internal', message: 'a fault' });
    expect(faults).toHaveLength(1);
  });

  test('what is no call is ignored and the connection lives on', async () => {
    const { page, raw } = await start();
    for (const message of [null, 7, 'text', [], {}, { id: 'one', method: 'settings.get' }, { id: 1.5, method: 'settings.get' }, { id: 1, method: 7 }]) raw(message);
    expect((await page.call('settings.get')).device).toBe('cpu');
  });

  test('events arrive; wrong ones cannot be sent; a closed window gets none', async () => {
    const { page, bus, closePage } = await start();
    const got = new Promise((resolve) => { page.on('data.changed', resolve); });
    // A call that is answered has been connected before.
    await page.call('settings.get');
    bus.emit('data.changed', { projectId: 'p', revision: 3 });
    expect(await got).toEqual({ projectId: 'p', revision: 3 });
    expect(() => bus.emit('data.changed', { projectId: 'p', revision: 'three' } as never)).toThrow('data.changed');
    closePage();
    await expect(page.call('settings.get').then(() => 'late', () => 'closed')).resolves.toBeDefined();
    bus.emit('data.changed', { projectId: 'p', revision: 4 });
  });
});

test('a text that is no JSON closes a WebSocket with 1007', async () => {
  const server = createServer();
  const sockets = new WebSocketServer({ server });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  sockets.on('connection', (socket) => serve(webSocketWire(socket), handlers, createBus()));
  const socket = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  closing.push(() => {
    sockets.close();
    server.close();
  });
  socket.once('open', () => socket.send('{'));
  expect(await new Promise((resolve) => { socket.once('close', resolve); })).toBe(1007);
});
