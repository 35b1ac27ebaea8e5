// The window: shut off from everything but the page and its one channel.

import { BrowserWindow, ipcMain, MessageChannelMain, session, shell, type IpcMainEvent, type IpcMainInvokeEvent } from 'electron';

import { serve } from '../rpc.ts';
import type { Studio } from '../studio.ts';
import { portWire } from '../wires/port.ts';
import { APP_ORIGIN } from './protocols.ts';

/** Sites that links may open, in the user's own browser. */
const LINKS: ReadonlySet<string> = new Set(['https://github.com', 'https://arxiv.org']);

/** Nothing that a page could ask for is granted. */
export function denyPermissions(): void {
  session.defaultSession.setPermissionRequestHandler((_contents, _permission, answer) => answer(false));
  session.defaultSession.setPermissionCheckHandler(() => false);
  session.defaultSession.setDevicePermissionHandler(() => false);
}

export function openWindow(preload: string, isDark: boolean): BrowserWindow {
  const window = new BrowserWindow({
    width: 1360, height: 880, minWidth: 900, minHeight: 600, show: false, title: 'Adora', backgroundColor: isDark ? '#101010' : '#fafafa', autoHideMenuBar: true,
    webPreferences: { preload, contextIsolation: true, sandbox: true, nodeIntegration: false, webSecurity: true, webviewTag: false, spellcheck: false },
  });
  const { webContents } = window;
  const deny = (event: { preventDefault(): void; url?: string }, url = event.url ?? ''): void => {
    if (!isPage(url)) event.preventDefault();
  };
  webContents.on('will-navigate', deny);
  webContents.on('will-frame-navigate', deny);
  webContents.on('will-redirect', deny);
  webContents.on('will-attach-webview', (event) => event.preventDefault());
  webContents.setWindowOpenHandler(({ url }) => {
    if (URL.canParse(url) && LINKS.has(new URL(url).origin)) void shell.openExternal(url);
    return { action: 'deny' };
  });
  window.once('ready-to-show', () => window.show());
  void window.loadURL(`${APP_ORIGIN}/index.html`);
  return window;
}

const isPage = (url: string): boolean => url === `${APP_ORIGIN}/` || url.startsWith(`${APP_ORIGIN}/index.html`);

/** Only the page itself, in the main frame, may ask. */
export const isOurSender = ({ senderFrame }: IpcMainEvent | IpcMainInvokeEvent): boolean =>
  senderFrame !== null && senderFrame.parent === null && isPage(senderFrame.url);

/** Gives each page that connects a port of its own; a reload gets a new one and the old one closes. */
export function serveWindows(studio: Studio, onFault: (error: unknown) => void): void {
  ipcMain.on('adora:connect', (event) => {
    if (!isOurSender(event)) return;
    const { port1, port2 } = new MessageChannelMain();
    serve(portWire(port1, (message) => (message as { readonly data: unknown }).data), studio.handlers, studio.context.bus, onFault);
    event.sender.postMessage('adora:port', null, [port2]);
  });
  /** A file that was dropped on the window becomes known; the page gets its id. */
  ipcMain.handle('adora:file', (event, path: unknown) => {
    if (!isOurSender(event) || typeof path !== 'string' || path === '') throw new Error('refused');
    return studio.context.ids.of(path);
  });
}
