// The one thing that the page is given: a channel for messages and the way from a dropped file to its id.

import { contextBridge, ipcRenderer, webUtils } from 'electron';

/** What is used of the page's MessagePort. */
interface PagePort {
  postMessage(message: unknown): void;
  addEventListener(event: 'message', listener: (event: { readonly data: unknown }) => void): void;
  start(): void;
}

let port: PagePort | null = null;
const early: unknown[] = [];
const listeners: ((message: unknown) => void)[] = [];

ipcRenderer.on('adora:port', ({ ports }) => {
  port = (ports[0] as unknown as PagePort | undefined) ?? null;
  if (!port) return;
  port.addEventListener('message', ({ data }) => {
    for (const listener of listeners) listener(data);
  });
  port.start();
  for (const message of early.splice(0)) port.postMessage(message);
});

contextBridge.exposeInMainWorld('adora', {
  connect: () => ipcRenderer.send('adora:connect'),
  post: (message: unknown) => (port ? port.postMessage(message) : void early.push(message)),
  onMessage: (listener: (message: unknown) => void) => void listeners.push(listener),
  pathOf: (file: File): Promise<string> => ipcRenderer.invoke('adora:file', webUtils.getPathForFile(file)),
});
