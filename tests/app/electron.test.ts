// The desktop's own code with a stand-in for Electron: what a window may load, ask and open. The program itself is not here.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { MessageChannel } from 'node:worker_threads';

import { beforeEach, describe, expect, test, vi } from 'vitest';

import { createBus } from '../../src-main/app/bus.ts';
import { createIds } from '../../src-main/app/ids.ts';
import { client } from '../../src-main/app/rpc.ts';
import { portWire } from '../../src-main/app/wires/port.ts';
import type { Studio } from '../../src-main/app/studio.ts';

type Listener = (...args: never[]) => unknown;

const electron = vi.hoisted(() => {
  const emitter = () => {
    const listeners = new Map<string, Listener[]>();
    return {
      on: (name: string, listener: Listener) => void listeners.set(name, [...(listeners.get(name) ?? []), listener]),
      once: (name: string, listener: Listener) => void listeners.set(name, [...(listeners.get(name) ?? []), listener]),
      tell: (name: string, ...args: unknown[]) => (listeners.get(name) ?? []).map((listener) => (listener as (...given: unknown[]) => unknown)(...args)),
    };
  };
  const windows: { options: { webPreferences: Record<string, unknown> }; webContents: ReturnType<typeof emitter> & { openHandler?: (details: { url: string }) => unknown }; url: string }[] = [];
  return {
    emitter, windows, opened: [] as string[], schemes: [] as unknown[], handled: new Map<string, (request: { url: string; method: string }) => Promise<Response>>(),
    ipcMain: { ...emitter(), handlers: new Map<string, Listener>() }, app: { ...emitter(), quits: 0 }, powerMonitor: emitter(), blockers: new Set<number>(), permissions: {} as Record<string, Listener>,
    dialogs: [] as unknown[], chosen: [] as string[],
    ports: null as unknown as { port1: unknown; port2: unknown }, forked: [] as { entry: string; options: { execArgv?: string[] } }[],
  };
});

vi.mock('electron', () => ({
  app: Object.assign(electron.app, { quit: () => { electron.app.quits++; } }),
  protocol: { registerSchemesAsPrivileged: (list: unknown[]) => electron.schemes.push(...list), handle: (scheme: string, handler: never) => electron.handled.set(scheme, handler) },
  ipcMain: Object.assign(electron.ipcMain, { handle: (name: string, listener: Listener) => electron.ipcMain.handlers.set(name, listener) }),
  powerMonitor: electron.powerMonitor,
  powerSaveBlocker: { start: () => { electron.blockers.add(7); return 7; }, stop: (id: number) => electron.blockers.delete(id) },
  dialog: { showOpenDialog: async (options: unknown) => { electron.dialogs.push(options); return { canceled: electron.chosen.length === 0, filePaths: electron.chosen }; } },
  shell: { openExternal: async (url: string) => void electron.opened.push(url), showItemInFolder: () => {} },
  session: { defaultSession: {
    setPermissionRequestHandler: (handler: Listener) => { electron.permissions['request'] = handler; },
    setPermissionCheckHandler: (handler: Listener) => { electron.permissions['check'] = handler; },
    setDevicePermissionHandler: (handler: Listener) => { electron.permissions['device'] = handler; },
  } },
  MessageChannelMain: class {
    port1 = electron.ports.port1;
    port2 = electron.ports.port2;
  },
  utilityProcess: { fork: (entry: string, _args: string[], options: { execArgv?: string[] }) => {
    electron.forked.push({ entry, options });
    return Object.assign(electron.emitter(), { postMessage: () => {}, kill: () => true });
  } },
  BrowserWindow: class {
    options: { webPreferences: Record<string, unknown> };
    webContents = Object.assign(electron.emitter(), { setWindowOpenHandler(handler: (details: { url: string }) => unknown) { Object.assign(this, { openHandler: handler }); } });
    url = '';
    constructor(options: { webPreferences: Record<string, unknown> }) {
      this.options = options;
      electron.windows.push(this as never);
    }
    once() {}
    async loadURL(url: string) { this.url = url; }
  },
}));

const { desktop } = await import('../../src-main/app/electron/dialogs.ts');
const { handleScheme, registerScheme, APP_ORIGIN } = await import('../../src-main/app/electron/protocols.ts');
const { denyPermissions, isOurSender, openWindow, serveWindows } = await import('../../src-main/app/electron/window.ts');
const { guardTrainings } = await import('../../src-main/app/electron/power.ts');
const { utilityHost } = await import('../../src-main/app/electron/utility-host.ts');

beforeEach(() => {
  electron.windows.length = 0;
  electron.opened.length = 0;
});

describe('the scheme of the page', () => {
  const ids = createIds(Buffer.alloc(32, 1));
  handleScheme(resolve('src-renderer/public'), ids);
  registerScheme();
  const get = (url: string, method = 'GET') => electron.handled.get('app')!({ url, method });

  test('is a secure standard scheme', () => {
    expect(electron.schemes).toEqual([{ scheme: 'app', privileges: { standard: true, secure: true, supportFetchAPI: true } }]);
  });

  test('gives files of the page and pictures by id, with the strict policy', async () => {
    const icon = await get(`${APP_ORIGIN}/icon.svg`);
    expect([icon.status, icon.headers.get('content-type')]).toEqual([200, 'image/svg+xml']);
    expect(icon.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(icon.headers.get('content-security-policy')).not.toContain('unsafe');
    const picture = await get(`${APP_ORIGIN}${ids.image('assets/demo/neon/000000.png')}`);
    expect(picture.status).toBe(200);
    expect(Buffer.from(await picture.arrayBuffer()).equals(readFileSync('assets/demo/neon/000000.png'))).toBe(true);
  });

  test.each(['/../main.ts', '/%2e%2e/main.ts', '/img/unknown', '/img/../icon.svg%00', '/package.json'])('has nothing at %s', async (path) => {
    expect((await get(`${APP_ORIGIN}${path}`)).status).toBe(404);
  });

  test('has nothing for other hosts, methods and kinds of files', async () => {
    expect((await get('app://other/icon.svg')).status).toBe(404);
    expect((await get(`${APP_ORIGIN}/icon.svg`, 'POST')).status).toBe(404);
    expect((await get(`${APP_ORIGIN}${ids.image('package.json')}`)).status).toBe(404);
  });
});

describe('the window', () => {
  test('is isolated, sandboxed and without Node', () => {
    openWindow('/preload.cjs', true);
    expect(electron.windows[0]!.options.webPreferences).toMatchObject({ contextIsolation: true, sandbox: true, nodeIntegration: false, webSecurity: true, webviewTag: false });
    expect(electron.windows[0]!.url).toBe(`${APP_ORIGIN}/index.html`);
  });

  test('goes nowhere else and opens only known sites, outside', () => {
    openWindow('/preload.cjs', true);
    const { webContents } = electron.windows[0]!;
    for (const event of ['will-navigate', 'will-frame-navigate', 'will-redirect']) {
      const preventDefault = vi.fn<(...given: unknown[]) => void>();
      webContents.tell(event, { preventDefault, url: 'https://evil.example/' });
      expect(preventDefault).toHaveBeenCalledTimes(1);
      const own = vi.fn<(...given: unknown[]) => void>();
      webContents.tell(event, { preventDefault: own, url: `${APP_ORIGIN}/index.html#train` });
      expect(own).not.toHaveBeenCalled();
    }
    for (const url of ['https://evil.example/', 'file:///etc/passwd', 'http://github.com/', 'not a url', 'https://github.com/a']) expect(webContents.openHandler!({ url })).toEqual({ action: 'deny' });
    expect(electron.opened).toEqual(['https://github.com/a']);
  });

  test('is granted no permission', () => {
    denyPermissions();
    const answer = vi.fn<(...given: unknown[]) => void>();
    electron.permissions['request']!(...([null, 'media', answer] as never[]));
    expect(answer).toHaveBeenCalledWith(false);
    expect([electron.permissions['check']!(), electron.permissions['device']!()]).toEqual([false, false]);
  });

  test.each([
    [`${APP_ORIGIN}/index.html`, null, true], [`${APP_ORIGIN}/`, null, true], ['https://evil.example/', null, false], ['app://adora.evil/index.html', null, false], [`${APP_ORIGIN}/index.html`, {}, false],
  ])('calls from %s (parent %j): %s', (url, parent, expected) => {
    expect(isOurSender({ senderFrame: { url, parent } } as never)).toBe(expected);
    expect(isOurSender({ senderFrame: null } as never)).toBe(false);
  });

  test('a page that connects gets a port to the app; others get none', async () => {
    const { port1, port2 } = new MessageChannel();
    // Electron's ports hand over an event with the message in `data`.
    electron.ports = { port1: { postMessage: (message: unknown) => port1.postMessage(message), on: (name: string, listener: (value: unknown) => void) => port1.on(name, (value) => listener({ data: value })), start: () => {} }, port2 };
    const ids = createIds();
    const studio = { handlers: { 'files.reveal': () => ({ shown: true, path: 'x' }) }, context: { bus: createBus(), ids } } as unknown as Studio;
    serveWindows(studio, () => {});
    const postMessage = vi.fn<(...given: unknown[]) => void>();
    electron.ipcMain.tell('adora:connect', { senderFrame: { url: 'https://evil.example/', parent: null }, sender: { postMessage } });
    expect(postMessage).not.toHaveBeenCalled();
    const ours = { senderFrame: { url: `${APP_ORIGIN}/index.html`, parent: null }, sender: { postMessage } };
    electron.ipcMain.tell('adora:connect', ours);
    const [channel, , ports] = postMessage.mock.calls[0] as [string, null, unknown[]];
    expect([channel, ports[0] === port2]).toEqual(['adora:port', true]);
    expect(await client(portWire(port2)).call('files.reveal', { id: 'abc' })).toEqual({ shown: true, path: 'x' });
    const file = electron.ipcMain.handlers.get('adora:file')!;
    const id = file(...([ours, '/some/picture.png'] as never[])) as string;
    expect(ids.path(id)).toBe(resolve('/some/picture.png'));
    expect(() => file(...([{ senderFrame: { url: 'https://evil.example/', parent: null } }, '/x'] as never[]))).toThrow('refused');
    expect(() => file(...([ours, 7] as never[]))).toThrow('refused');
    port1.close();
  });
});

test('no sleep while a training works; a checkpoint on suspend; quitting waits for it', async () => {
  const bus = createBus();
  const save = vi.fn<(...given: unknown[]) => void>();
  let finish = (): void => {};
  const studio = { context: { bus }, save, dispose: () => new Promise<void>((done) => { finish = done; }) } as unknown as Studio;
  guardTrainings(studio);
  const run = { id: 'r', projectId: 'p', name: 'x', state: 'running', created: 0, step: 0, total: 1, adapter: '', model: '', device: '', loss: null, firstProbe: null, lastProbe: null, seconds: null, checkpoint: null, lastSample: null, canResume: false, queue: null, problem: null } as const;
  bus.emit('queue.changed', { active: { ...run }, paused: [], waiting: [], held: [] });
  expect(electron.blockers.size).toBe(1);
  bus.emit('queue.changed', { active: null, paused: [{ ...run, state: 'paused' }], waiting: [], held: [] });
  expect(electron.blockers.size).toBe(0);
  electron.powerMonitor.tell('suspend');
  expect(save).toHaveBeenCalledTimes(1);
  // Windows tells the window only.
  const window = electron.emitter();
  electron.app.tell('browser-window-created', {}, window);
  window.tell('query-session-end', {});
  expect(save).toHaveBeenCalledTimes(2);
  // Other systems wait for the quit that saves.
  const wait = vi.fn<(...given: unknown[]) => void>();
  electron.powerMonitor.tell('shutdown', { preventDefault: wait });
  expect([wait.mock.calls.length, electron.app.quits]).toEqual([1, 1]);
  const preventDefault = vi.fn<(...given: unknown[]) => void>();
  electron.app.tell('before-quit', { preventDefault });
  expect([preventDefault.mock.calls.length, electron.app.quits]).toEqual([1, 1]);
  finish();
  await vi.waitFor(() => expect(electron.app.quits).toBe(2));
  const again = vi.fn<(...given: unknown[]) => void>();
  electron.app.tell('before-quit', { preventDefault: again });
  expect(again).not.toHaveBeenCalled();
});

test('dialogs say what the window says; a model in a folder is chosen by its index', async () => {
  const place = resolve('/models/ink');
  electron.chosen = [resolve(place, 'model_index.json'), resolve('/models/a.safetensors')];
  expect(await desktop.pick({ kind: 'model', many: true, title: 'Wähle ein Modell', filter: 'Modelle' })).toEqual([place, resolve('/models/a.safetensors')]);
  expect(await desktop.pick({ kind: 'recipe', many: false, title: 'Öffnen', filter: 'Rezepte' })).toEqual(electron.chosen);
  electron.chosen = [];
  expect(await desktop.pick({ kind: 'folder', many: false, title: 'Ordner', filter: '' })).toEqual([]);
  expect(electron.dialogs).toEqual([
    { title: 'Wähle ein Modell', properties: ['openFile', 'multiSelections'], filters: [{ name: 'Modelle', extensions: ['safetensors', 'sft', 'json'] }] },
    { title: 'Öffnen', properties: ['openFile'], filters: [{ name: 'Rezepte', extensions: ['toml', 'json', 'yaml', 'yml'] }] },
    { title: 'Ordner', properties: ['openDirectory'] },
  ]);
});

test('trainers are utility processes', () => {
  utilityHost('/out/main/trainer.js').start('train');
  expect(electron.forked[0]!.entry).toBe('/out/main/trainer.js');
  // V8 is set up before Node reads its arguments, and takes its flags from Chromium's switch alone.
  expect(electron.forked[0]!.options.execArgv).toEqual(['--js-flags=--single-threaded-gc']);
});
