// Texts that several screens share.
export const common = {
  app: 'Adora',
  screens: { home: 'Projects', data: 'Pictures', train: 'Train', compare: 'Compare', export: 'Export', library: 'Library', settings: 'Settings' },
  states: {
    queued: 'Waiting', preparing: 'Preparing', running: 'Training', pausing: 'Pausing', paused: 'Paused', stopping: 'Stopping',
    interrupted: 'Stopped', finished: 'Finished', failed: 'Failed', crashed: 'Crashed',
  },
  flags: {
    'duplicate-exact': 'Exact duplicates', 'duplicate-near': 'Near duplicates', 'too-small': 'Too small', blurred: 'Blurred',
    'over-exposed': 'Over-exposed', 'under-exposed': 'Under-exposed', border: 'Border', 'watermark-suspect': 'Watermark?',
    alpha: 'Transparent', 'no-caption': 'No caption', unreadable: 'Unreadable',
  },
  actions: {
    pause: 'Pause', resume: 'Resume', stop: 'Stop', sampleNow: 'Sample now', cancel: 'Cancel', close: 'Close', undo: 'Undo', redo: 'Redo',
    openPalette: 'Search commands', shortcuts: 'Keyboard shortcuts', done: 'Done',
  },
  connection: {
    connecting: 'Connecting to Adora …',
    lost: 'The connection to Adora was lost. Trying again; training goes on meanwhile.',
    refused: 'Adora does not answer here. Open the address that `adora serve` printed when it started.',
  },
} as const;
