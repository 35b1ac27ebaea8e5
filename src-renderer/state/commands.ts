// Every command of the window, for palette, keyboard and help.
import { t } from '../messages.ts';
import type { Command } from './shortcuts.ts';
import { screens, type Studio } from './studio.svelte.ts';

export function studioCommands(studio: Studio): Command[] {
  const words = t.parts.commands;
  const hasProject = (): boolean => studio.project !== null;
  const isRunning = (): boolean => studio.active?.state === 'running';
  const control = (action: Parameters<Studio['control']>[0]) => () => { if (studio.active !== null) void studio.control(action, studio.active.id); };
  const edit = (method: 'data.undo' | 'data.redo') => () => {
    // Folders and the trigger word are the project's.
    if (studio.project !== null) void studio.attempt(method, { projectId: studio.project.id }).then(() => studio.reloadProject());
  };
  return [
    { id: 'palette', label: t.actions.openPalette, keys: 'mod+k', group: words.window, run: () => { studio.sheet = 'palette'; } },
    { id: 'shortcuts', label: t.actions.shortcuts, keys: '?', group: words.window, run: () => { studio.sheet = 'shortcuts'; } },
    ...screens.map((screen, at): Command => ({
      id: `go-${screen}`, label: t.screens[screen], keys: `mod+${at + 1}`, group: words.goTo, run: () => studio.go(screen),
      enabled: () => hasProject() || ['home', 'library', 'settings'].includes(screen),
    })),
    { id: 'undo', label: words.undo, keys: 'mod+z', group: words.pictures, enabled: hasProject, run: edit('data.undo') },
    { id: 'redo', label: words.redo, keys: 'mod+shift+z', group: words.pictures, enabled: hasProject, run: edit('data.redo') },
    { id: 'scan', label: words.scan, group: words.pictures, enabled: hasProject, run: () => { if (studio.project !== null) void studio.attempt('data.scan', { projectId: studio.project.id }); } },
    { id: 'pause', label: words.pause, keys: 'mod+p', group: words.training, enabled: isRunning, run: control('runs.pause') },
    { id: 'resume', label: words.resume, keys: 'mod+r', group: words.training, enabled: () => studio.active?.state === 'paused', run: control('runs.resume') },
    { id: 'stop', label: words.stop, group: words.training, enabled: () => studio.active !== null, run: control('runs.stop') },
    { id: 'sample', label: t.actions.sampleNow, keys: 'mod+b', group: words.training, enabled: isRunning, run: control('runs.sampleNow') },
    { id: 'go-on', label: words.goOn, group: words.training, enabled: () => studio.held.length > 0, run: () => void studio.goOn(true) },
    ...(['dark', 'light', 'system'] as const).map((theme): Command => ({ id: `theme-${theme}`, label: words.theme(t.settings.themes[theme]), group: words.window, run: () => void studio.attempt('settings.set', { theme }) })),
  ];
}
