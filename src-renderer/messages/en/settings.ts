// Texts of the screen with settings.
export const settings = {
  title: 'Settings', appearance: 'Appearance', theme: 'Theme', themes: { dark: 'Dark', light: 'Light', system: 'As the system' }, language: 'Language',
  lowVram: 'Leave the graphics card to the training', lowVramText: 'While a training runs nothing is drawn with WebGPU, nothing moves and no large picture is shown. In the desktop app the window does without the graphics card altogether from the next start.',
  folders: 'Folders of checkpoints and adapters', addFolder: 'Add folder', addFolderTitle: 'Add a folder of checkpoints and adapters', remove: 'Remove', removeFolder: (path: string) => `Remove ${path}`, noFolders: 'None yet. Folders of ComfyUI, Forge and others can be used as they are.',
  device: 'Device', examine: 'Examine', trainOn: 'Train on',
  examining: 'The doctor computes known sums on each device and compares …', notExamined: 'Not examined yet. The doctor computes known sums on each device and says whether training there can be trusted.', examined: (time: string) => `Examined ${time}`, checks: (ok: number, all: number) => `${ok} of ${all} checks hold`, usable: 'usable', notUsable: 'not usable',
  places: 'Places', projects: 'Projects', cache: 'Cache', version: 'Version',
  keyboard: 'Keyboard', shortcuts: 'Shortcuts',
} as const;
