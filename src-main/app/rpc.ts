// Calls and events over any wire. The app's end validates what comes in and what goes out; the page trusts the app.

import { UserError } from '../base/errors.ts';
import { api, type EventData, type EventName, type Given, type Input, type Method, type Output } from '../contract/api.ts';
import type { Problem } from '../contract/api.ts';
import type { AppMessage, CallMessage, Wire } from '../contract/wire.ts';
import type { Bus } from './bus.ts';

export type Handlers = { readonly [Name in Method]: (input: Given<Name>) => Promise<Output<Name>> | Output<Name> };

/** Calls of one window that may be under way at once; more are refused. */
const MOST_CALLS = 200;

/**
 * Answers the calls of one window and sends it the events of `bus` until the wire closes. What is no call at all is
 * ignored; everything else gets an answer. `onFault` hears of faults in our own code.
 */
export function serve(wire: Wire, handlers: Handlers, bus: Bus, onFault: (error: unknown) => void = () => {}): void {
  let underWay = 0;
  let isOpen = true;
  const send = (message: AppMessage): void => {
    if (isOpen) wire.send(message);
  };
  const stop = bus.onAny((event, data) => send({ event, data }));
  wire.onClose(() => {
    isOpen = false;
    stop();
  });
  wire.onMessage((message) => {
    if (!isCall(message)) return;
    const { id } = message;
    const refuse = (error: Problem): void => send({ id, ok: false, error });
    if (underWay >= MOST_CALLS) {
      refuse({ code: 'call.too-many', message: 'Too many calls at once: wait for answers.' });
      return;
    }
    underWay++;
    void answer(message, handlers).then((output) => send({ id, ok: true, output }), (error: unknown) => {
      if (!(error instanceof UserError)) onFault(error);
      refuse(problemOf(error));
    }).finally(() => underWay--);
  });
}

const isCall = (message: unknown): message is CallMessage => {
  if (typeof message !== 'object' || message === null) return false;
  const { id, method } = message as Partial<CallMessage>;
  return Number.isSafeInteger(id) && typeof method === 'string';
};

/** Errors: `call.unknown`, `call.input`, those of the handler; a wrong output is a fault of ours. */
async function answer({ method, input }: CallMessage, handlers: Handlers): Promise<unknown> {
  // Own properties only: a method must not be found on a prototype.
  if (!Object.hasOwn(api, method)) throw new UserError('call.unknown', `There is no method ${JSON.stringify(method.slice(0, 80))}.`);
  const name = method as Method;
  const given = api[name].input.safeParse(input);
  if (!given.success) throw new UserError('call.input', `${name} cannot take this: ${issueText(given.error)}`, { method: name });
  const output = await (handlers[name] as (value: unknown) => unknown)(given.data);
  const checked = api[name].output.safeParse(output);
  if (!checked.success) throw new Error(`Internal error: ${name} answered wrongly: ${issueText(checked.error)}`);
  return checked.data;
}

const issueText = ({ issues }: { readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[] }): string =>
  issues.slice(0, 5).map(({ path, message }) => `${path.map(String).join('.') || 'it'}: ${message}`).join('; ');

/** What a window is told of an error. Nothing of a fault of ours but its message. */
export function problemOf(error: unknown): Problem {
  if (error instanceof UserError) {
    const details = plain(error.data);
    return { code: error.code, message: error.message, ...(details ? { details } : {}) };
  }
  return { code: 'internal', message: error instanceof Error ? error.message : String(error) };
}

/** Data that every wire can carry; null when there are none. */
function plain(data: Readonly<Record<string, unknown>>): Record<string, unknown> | null {
  if (Object.keys(data).length === 0) return null;
  try {
    return JSON.parse(JSON.stringify(data)) as Record<string, unknown>;
  } catch {
    return null;
  }
}

export interface Client {
  call<Name extends Method>(method: Name, ...input: Record<string, never> extends Input<Name> ? [input?: Input<Name>] : [input: Input<Name>]): Promise<Output<Name>>;
  on<Name extends EventName>(event: Name, listener: (data: EventData<Name>) => void): () => void;
}

/** The other end, for tests and tools. A refused call is a UserError with the app's code. */
export function client(wire: Wire): Client {
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  const listeners = new Set<(event: string, data: unknown) => void>();
  let last = 0;
  wire.onMessage((raw) => {
    const message = raw as AppMessage;
    if ('event' in message) {
      for (const listener of listeners) listener(message.event, message.data);
      return;
    }
    const call = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.ok) call?.resolve(message.output as never);
    else call?.reject(new UserError(message.error.code, message.error.message, message.error.details ?? {}));
  });
  wire.onClose(() => {
    for (const { reject } of waiting.values()) reject(new UserError('call.closed', 'The connection was closed.'));
    waiting.clear();
  });
  return {
    call: (method, ...input) => new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, { resolve, reject });
      wire.send({ id, method, input: input[0] ?? {} });
    }),
    on: (event, listener) => {
      const one = (name: string, data: unknown): void => {
        if (name === event) listener(data as never);
      };
      listeners.add(one);
      return () => listeners.delete(one);
    },
  };
}
