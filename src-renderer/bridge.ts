// The one way from the page to the app: calls and events over a WebSocket, or over the port that the desktop's preload gives.
import type { EventData, EventName, Input, Method, Output, Problem } from '../src-main/contract/api.ts';
import type { AppMessage, CallMessage } from '../src-main/contract/wire.ts';
import { sentences, t } from './messages.ts';
import { inLanguage } from './sentences.ts';

export type Connection = 'connecting' | 'open' | 'lost' | 'refused';

export interface Bridge {
  call<Name extends Method>(method: Name, input: Input<Name>): Promise<Output<Name>>;
  on<Name extends EventName>(event: Name, listener: (data: EventData<Name>) => void): () => void;
  /** Told now and at each change. After every `open` the listener must ask for everything again. */
  onConnection(listener: (state: Connection) => void): () => void;
  /** Desktop: makes a dropped file known to the app and answers its id; null in the browser. */
  fileId: ((file: File) => Promise<string>) | null;
}

/** What the desktop's preload puts on the window. */
export interface DesktopPort {
  connect(): void;
  post(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
  pathOf(file: File): Promise<string>;
}

declare global {
  interface Window {
    readonly adora?: DesktopPort;
  }
}

/** An answer of the app that says no. */
export class CallError extends Error {
  readonly code: string;
  readonly details: Record<string, unknown>;
  constructor(problem: Problem) {
    super(problem.message);
    this.code = problem.code;
    this.details = problem.details ?? {};
  }
}

interface Waiting {
  readonly resolve: (output: never) => void;
  readonly reject: (error: Error) => void;
}

/** Chooses the transport and begins to connect. */
export function openBridge(): Bridge {
  const core = new Core();
  const desktop = window.adora;
  if (desktop !== undefined) {
    desktop.onMessage((message) => core.receive(message as AppMessage));
    desktop.connect();
    core.fileId = (file) => desktop.pathOf(file);
    core.opened((message) => desktop.post(message));
  } else {
    void connectSocket(core);
  }
  return core;
}

class Core implements Bridge {
  fileId: Bridge['fileId'] = null;
  #send: ((message: CallMessage) => void) | null = null;
  #nextId = 1;
  #state: Connection = 'connecting';
  readonly #waiting = new Map<number, Waiting>();
  readonly #queued: CallMessage[] = [];
  readonly #listeners = new Map<string, Set<(data: never) => void>>();
  readonly #connectionListeners = new Set<(state: Connection) => void>();

  call<Name extends Method>(method: Name, input: Input<Name>): Promise<Output<Name>> {
    const message: CallMessage = { id: this.#nextId++, method, input };
    return new Promise<Output<Name>>((resolve, reject) => {
      this.#waiting.set(message.id, { resolve, reject });
      if (this.#send === null) this.#queued.push(message);
      else this.#send(message);
    });
  }

  on<Name extends EventName>(event: Name, listener: (data: EventData<Name>) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  onConnection(listener: (state: Connection) => void): () => void {
    this.#connectionListeners.add(listener);
    listener(this.#state);
    return () => void this.#connectionListeners.delete(listener);
  }

  receive(said: AppMessage): void {
    const message = inLanguage(said, sentences);
    if ('event' in message) {
      for (const listener of this.#listeners.get(message.event) ?? []) listener(message.data as never);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.ok) waiting?.resolve(message.output as never);
    else waiting?.reject(new CallError(message.error));
  }

  opened(send: (message: CallMessage) => void): void {
    this.#send = send;
    for (const message of this.#queued.splice(0)) send(message);
    this.#tell('open');
  }

  /** Calls that were under way may or may not have been done, so they fail rather than run twice. */
  closed(state: Connection): void {
    this.#send = null;
    const queued = new Set(this.#queued.map((message) => message.id));
    for (const [id, waiting] of this.#waiting) {
      if (queued.has(id) && state === 'lost') continue;
      this.#waiting.delete(id);
      waiting.reject(new CallError({ code: 'bridge.lost', message: t.parts.studio.lost }));
    }
    this.#tell(state);
  }

  #tell(state: Connection): void {
    this.#state = state;
    for (const listener of this.#connectionListeners) listener(state);
  }
}

async function connectSocket(core: Core): Promise<void> {
  if (!await exchangeToken()) {
    core.closed('refused');
    return;
  }
  let failures = 0;
  const connect = (): void => {
    const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/api`);
    socket.addEventListener('open', () => {
      failures = 0;
      core.opened((message) => socket.send(JSON.stringify(message)));
    });
    socket.addEventListener('message', (event) => core.receive(JSON.parse(String(event.data)) as AppMessage));
    socket.addEventListener('close', () => {
      failures += 1;
      core.closed(failures > 3 ? 'refused' : 'lost');
      setTimeout(connect, Math.min(8000, 250 * 2 ** failures));
    });
  };
  connect();
}

/** The address that `adora serve` printed carries a token once; the server turns it into a cookie. */
async function exchangeToken(): Promise<boolean> {
  if (!location.hash.startsWith('#t=')) return true;
  const token = decodeURIComponent(location.hash.slice('#t='.length));
  const answer = await fetch('/session', {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ token }),
  });
  history.replaceState(null, '', location.pathname);
  return answer.ok;
}
