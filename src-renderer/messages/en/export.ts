// Texts of the screen that writes files for other programs.
export const exporting = {
  title: 'Export', run: 'Run', none: 'Nothing to export yet', noneText: 'As soon as a run has saved a checkpoint it can be exported, also while it goes on training.',
  for: 'For', all: 'All of them', tool: (label: string, verdict: string) => `${label}: ${verdict}`, step: 'Step', dtype: 'Numbers', exact: 'Exact.', notExact: 'Not exact.', start: 'Export',
  what: 'What to write', adapter: 'An adapter file', plain: 'A plain LoRA, approximated', plainOf: (name: string) => `${name}, plain LoRA`, approximate: 'Approximate.', merge: (bytes: string) => `The checkpoint with everything merged in (${bytes})`, only: 'This run trained the weights themselves, so its export is a whole checkpoint.', whole: (bytes: string) => `A checkpoint of ${bytes}; it works in every program.`,
  useMerged: 'Write the merged checkpoint', usePlain: 'Write the plain LoRA', picture: 'Paint a picture with the file, beside one with what was trained', pictureWaits: 'The picture waits until the training pauses or ends. Without it the file is written at once.',
  folder: 'Folder', ownFolder: 'the run’s own', chooseFolder: 'Choose another folder', backFolder: 'Use the run’s own', failed: 'What this run has written cannot be listed:',
  entry: (tool: string, step: number) => `${tool} · step ${step}`, merged: (step: number) => `Checkpoint · step ${step}`, gone: 'The files are not where they were written any more.', of: (step: number) => `Export of step ${step}`,
  reveal: 'Show in folder', revealFile: (name: string) => `Show in folder: ${name}`, proof: 'Proof of the export', result: 'Result', read: 'What was read again', holds: 'holds', fails: 'fails', trained: 'Trained', exported: 'Exported file', worst: (value: string) => `Largest difference of a value: ${value}`, workflow: 'Workflow for ComfyUI', copied: (path: string) => `The file is here: ${path}`,
} as const;
