// Texts of the screen that writes files for other programs.
export const exporting = {
  title: 'Export', run: 'Run', none: 'Nothing to export yet', noneText: 'As soon as a run has saved a checkpoint it can be exported, also while it goes on training.',
  for: 'For', all: 'All of them', tool: (label: string, verdict: string) => `${label}: ${verdict}`, step: 'Step', dtype: 'Numbers', merge: (bytes: string) => `Merge into the checkpoint (${bytes})`, exact: 'Exact.', notExact: 'Not exact.', start: 'Export',
  entry: (tool: string, step: number) => `${tool} · step ${step}`, of: (step: number) => `Export of step ${step}`,
  reveal: 'Show in folder', revealFile: (name: string) => `Show in folder: ${name}`, proof: 'Proof of the export', result: 'Result', read: 'What was read again', holds: 'holds', fails: 'fails', trained: 'Trained', exported: 'Exported file', worst: (value: string) => `Largest difference of a value: ${value}`, workflow: 'Workflow for ComfyUI', copied: (path: string) => `The file is here: ${path}`,
} as const;
