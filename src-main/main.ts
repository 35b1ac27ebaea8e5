// Entry of the desktop app.

import { join } from 'node:path';

import { app, BrowserWindow, nativeTheme } from 'electron';

import { desktop } from './app/electron/dialogs.ts';
import { guardTrainings } from './app/electron/power.ts';
import { handleScheme, registerScheme } from './app/electron/protocols.ts';
import { utilityHost } from './app/electron/utility-host.ts';
import { denyPermissions, openWindow, serveWindows } from './app/electron/window.ts';
import { openSettings } from './app/settings.ts';
import { createStudio } from './app/studio.ts';
import { appFolders } from './files/paths.ts';

const built = import.meta.dirname;
const preload = join(built, 'preload.cjs');
const onFault = (error: unknown): void => {
  process.stderr.write(`${error instanceof Error ? error.stack ?? error.message : String(error)}\n`);
};

registerScheme();
if (openSettings(appFolders().config).get().lowVram) app.disableHardwareAcceleration();

if (!app.requestSingleInstanceLock()) app.quit();
else {
  void app.whenReady().then(() => {
    // In a packed app the assets lie beside the archive, where the trainer can map them.
    const assets = app.isPackaged ? join(process.resourcesPath, 'assets') : join(built, '../../assets');
    const studio = createStudio({ mode: 'desktop', host: utilityHost(join(built, 'trainer.js')), assets, desktop });
    const theme = (): void => { nativeTheme.themeSource = studio.context.settings.get().theme; };
    const open = (): void => void openWindow(preload, nativeTheme.shouldUseDarkColors);
    theme();
    denyPermissions();
    handleScheme(join(built, '../renderer'), studio.context.ids);
    serveWindows(studio, onFault);
    guardTrainings(studio);
    studio.context.bus.onAny((event) => {
      if (event === 'settings.changed') theme();
    });
    open();
    app.on('activate', () => {
      if (BrowserWindow.getAllWindows().length === 0) open();
    });
    app.on('second-instance', () => {
      const [window] = BrowserWindow.getAllWindows();
      if (window?.isMinimized()) window.restore();
      window?.focus();
    });
  });
  app.on('window-all-closed', () => app.quit());
}
