// Every command of the window, for palette, keyboard and help.
import { t } from '../messages.ts';
import type { Command } from './shortcuts.ts';
import { screens, type Studio } from './studio.svelte.ts';

export function studioCommands(studio: Studio): Command[] {
  const hasProject = (): boolean => studio.project !== null;
  const isRunning = (): boolean => studio.active?.state === 'running';
  const control = (action: Parameters<Studio['control']>[0]) => () => { if (studio.active !== null) void studio.control(action, studio.active.id); };
  const edit = (method: 'data.undo' | 'data.redo') => () => { if (studio.project !== null) void studio.attempt(method, { projectId: studio.project.id }); };
  return [
    { id: 'palette', label: t.actions.openPalette, keys: 'mod+k', group: 'Window', run: () => { studio.sheet = 'palette'; } },
    { id: 'shortcuts', label: t.actions.shortcuts, keys: '?', group: 'Window', run: () => { studio.sheet = 'shortcuts'; } },
    ...screens.map((screen, at): Command => ({
      id: `go-${screen}`, label: t.screens[screen], keys: `mod+${at + 1}`, group: 'Go to', run: () => studio.go(screen),
      enabled: () => hasProject() || ['home', 'library', 'settings'].includes(screen),
    })),
    { id: 'undo', label: 'Undo change of pictures', keys: 'mod+z', group: 'Pictures', enabled: hasProject, run: edit('data.undo') },
    { id: 'redo', label: 'Redo change of pictures', keys: 'mod+shift+z', group: 'Pictures', enabled: hasProject, run: edit('data.redo') },
    { id: 'scan', label: 'Look for new pictures', group: 'Pictures', enabled: hasProject, run: () => { if (studio.project !== null) void studio.attempt('data.scan', { projectId: studio.project.id }); } },
    { id: 'pause', label: 'Pause training', keys: 'mod+p', group: 'Training', enabled: isRunning, run: control('runs.pause') },
    { id: 'resume', label: 'Resume training', keys: 'mod+r', group: 'Training', enabled: () => studio.active?.state === 'paused', run: control('runs.resume') },
    { id: 'stop', label: 'Stop training', group: 'Training', enabled: () => studio.active !== null, run: control('runs.stop') },
    { id: 'sample', label: t.actions.sampleNow, keys: 'mod+b', group: 'Training', enabled: isRunning, run: control('runs.sampleNow') },
    ...(['dark', 'light', 'system'] as const).map((theme): Command => ({ id: `theme-${theme}`, label: `Theme: ${theme}`, group: 'Window', run: () => void studio.attempt('settings.set', { theme }) })),
  ];
}
