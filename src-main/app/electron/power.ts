// Trainings and the machine's sleep: none while one works; a checkpoint when it comes all the same, and at the end.

import { app, powerMonitor, powerSaveBlocker } from 'electron';

import type { Studio } from '../studio.ts';

export function guardTrainings(studio: Studio): void {
  let blocker: number | null = null;
  studio.context.bus.onAny((event, data) => {
    if (event !== 'queue.changed') return;
    const { active } = data as { readonly active: object | null };
    const isWorking = active !== null;
    if (isWorking && blocker === null) blocker = powerSaveBlocker.start('prevent-app-suspension');
    else if (!isWorking && blocker !== null) {
      powerSaveBlocker.stop(blocker);
      blocker = null;
    }
  });
  powerMonitor.on('suspend', () => studio.save());
  // The system waits for a program that says so, and then it quits as when a person asks for it.
  powerMonitor.on('shutdown', (event?: { preventDefault(): void }) => {
    event?.preventDefault();
    app.quit();
  });
  // Windows ends a session without a quit: what can be saved in the moment that is left is saved.
  app.on('browser-window-created', (_event, window) => {
    window.on('query-session-end', () => studio.save());
  });
  let isClosed = false;
  app.on('before-quit', (event) => {
    if (isClosed) return;
    // Saved first; then the quit goes on.
    event.preventDefault();
    void studio.dispose().finally(() => {
      isClosed = true;
      app.quit();
    });
  });
}
