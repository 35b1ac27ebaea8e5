// What the app tells all windows.

import { assert } from '../base/errors.ts';
import { events, type EventData, type EventName } from '../contract/api.ts';

type AnyListener = (event: EventName, data: unknown) => void;

export interface Bus {
  /** Data are validated here, once for all windows. */
  emit<Name extends EventName>(event: Name, data: EventData<Name>): void;
  /** Gives the function that ends it. */
  onAny(listener: AnyListener): () => void;
}

export function createBus(): Bus {
  const listeners = new Set<AnyListener>();
  return {
    emit: (event, data) => {
      const checked = events[event].safeParse(data);
      assert(checked.success, `the event ${event} is not what the contract says: ${checked.error?.message}`);
      for (const listener of listeners) listener(event, checked.data);
    },
    onAny: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
