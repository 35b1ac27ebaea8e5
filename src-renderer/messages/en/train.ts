// Texts of the screen that sets up trainings and shows them.
const percent = (share: number): string => `${Math.round(share * 100)} %`;

export const train = {
  title: 'Train', run: 'Run', setUp: 'Set up', live: 'Live', views: 'Train', percent,
  model: {
    title: '1. Which model?', label: 'Model', choose: 'Choose a checkpoint', browse: 'Browse', browseTitle: 'Choose a checkpoint',
  },
  tool: { title: '2. Where will you use it?', label: 'Program' },
  goal: {
    title: '3. What matters?', style: 'Style strength', fidelity: 'Fidelity', speed: 'Speed',
    intensity: 'How strong', subtle: 'subtle', strong: 'strong',
    closeness: 'Freedom or fidelity', free: 'free with prompts', close: 'close to the pictures',
    economy: 'Memory', roomy: 'fast, more memory', tight: 'less memory, slower',
    thirds: ['free', 'balanced', 'close'],
  },
  recipe: {
    title: 'Recipes', text: 'Settings that are known to work, or those that you saved.', label: 'Recipe', none: 'Choose a recipe', shipped: 'With Adora', own: 'Yours',
    apply: 'Apply', save: 'Save settings as a recipe', open: 'Open a file', openTitle: 'Open a job, or settings of kohya, OneTrainer or ai-toolkit', remove: (name: string) => `Remove the recipe ${name}`,
    saveTitle: 'Save settings as a recipe', name: 'Name', about: 'What it is for', saveIt: 'Save', saved: (name: string) => `Saved as “${name}”.`,
    imported: (from: string) => `Settings of ${from}`, importedText: 'Model and pictures stay those of this project.', useIt: 'Use these settings', left: 'Without a counterpart here', notes: 'To know', becomes: 'What changes', nothing: 'Nothing would change.',
  },
  changes: {
    title: 'What changed', before: 'before', after: 'now', by: (what: string) => `“${what}” changed this:`, nothing: 'This changed no setting.', none: 'Answers, sliders and recipes show here what they change.',
    undo: 'Undo', redo: 'Redo', undoWhat: (what: string) => `Undo: ${what}`, redoWhat: (what: string) => `Redo: ${what}`, keepOld: (setting: string) => `Keep ${setting} as it was`, keep: 'Keep',
    reset: 'All settings back to their defaults',
  },
  settings: { title: 'Settings', all: 'All', find: 'Find a setting', none: (search: string) => `No setting fits “${search}”.`, copy: 'Copy as a job file', copied: 'The job is in the clipboard.' },
  forecast: {
    title: 'Forecast', memory: 'Memory', free: (bytes: string) => ` of ${bytes} free`, time: 'Time', notMeasured: 'not measured', busy: 'a training has the device', step: (seconds: string) => `${seconds} s a step`, disk: 'Disk', trained: 'Trained', values: (count: string) => `${count} values`,
    pictures: 'Pictures', epochs: (count: string) => `${count} looks at each`, on: (device: string) => `On ${device}.`, none: 'Memory, time and disk are worked out once there are pictures, a model, and no wrong settings.', working: 'Working out memory, time and disk', parts: 'What takes memory',
    tooMuch: 'It does not fit, so it cannot be started.', tight: 'It is more than is free now: close other programs, or expect it to become slow or to stop.', unchecked: 'It does not fit. It may be started all the same, because “Check resources” is off.',
    change: (setting: string, value: string) => `${setting} ${value}`, still: (bytes: string) => `still ${bytes}`, use: 'Use this', old: 'Of the settings before:', stopped: 'The forecast was stopped.', again: 'Work it out',
  },
  start: {
    train: 'Train', queue: 'Add to the queue', addPictures: 'Add pictures first.', chooseModel: 'Choose a model first.', goToPictures: 'Go to pictures', name: 'Name of the run', cost: (memory: string, time: string | null, disk: string) => [`Memory ${memory}`, ...(time === null ? [] : [time]), `${disk} on disk`].join(' · '),
    tight: 'More than is free.', tooLarge: 'It does not fit: see the forecast for settings that would.', wrong: (count: number) => (count === 1 ? 'One setting is wrong.' : `${count} settings are wrong.`), issues: 'To correct', show: (setting: string) => `Show ${setting}`, queued: (name: string) => `“${name}” waits in the queue.`,
  },
  queue: {
    title: 'Queue', behindPaused: (name: string) => `“${name}” is paused, so that the device is free. These wait until you let them go on, or until it goes on and ends.`, paused: (name: string) => `${name} · paused`, resume: (name: string) => `Resume ${name}`, stop: (name: string) => `Stop ${name}`, earlier: 'Earlier', later: 'Later', remove: 'Remove', move: (name: string, way: string) => `${way}: ${name}`, held: 'Left from last time: these wait until you say so.', goOn: 'Let them go on', takeOff: 'Take off the queue', place: (at: number, name: string) => `${at}. ${name}`, steps: (step: number, total: number) => `${step} of ${total} steps`,
  },
  wholeWeights: 'Whole weights',
  course: {
    none: 'Nothing is trained yet', noneText: 'Set up a training and press Train; losses and samples show here.',
    proved: 'Proved: it learns', doubt: 'Doubtful', pending: 'Proof of learning pending', proofs: 'Proof of learning',
    waits: (place: number) => `It is number ${place} in the queue and has not begun.`, noSteps: 'Charts come with the first steps.',
    died: 'The trainer died.', ended: 'The training ended with an error.', checkpoint: (step: number) => `The last checkpoint is step ${step}.`,
    paused: 'Paused. The device is free for other work.', pausedText: 'You may change captions, leave pictures out or add some: it counts when the training goes on.', editPictures: 'Edit pictures', again: 'Use its settings again', used: 'The settings of this run are in the form now.',
    settingsOf: (run: string) => `Settings of ${run}`, notes: (count: number) => `${count} notes of the trainer`,
    skipped: (count: number) => `${count} steps were skipped because of numbers that are not finite.`,
  },
  chart: {
    loss: 'Loss', each: 'each step', smoothed: 'smoothed', lossNow: (step: number, loss: string) => `Loss of step ${step}: ${loss}`,
    probe: 'Loss at fixed noise', probeLine: 'probe', probeText: (from: string, to: string) => `From ${from} to ${to}`,
    rate: 'Learning rate', rateLine: 'rate', rateText: 'Learning rate of each step',
    norms: 'Norms', gradient: 'gradient', update: 'update', normsText: 'Norm of the gradient of each step, and of the update at every fifth',
  },
  samples: {
    title: 'Samples', noPrompt: '(no prompt)', none: 'Samples come at the first preview, or when you ask for one in the bar below.', prompt: 'Prompt', step: 'Step', of: (step: number) => `step ${step}`,
    live: 'Follow the newest', compare: 'Compare with', first: 'the first sample', previous: 'the sample before', views: 'How to compare', wipe: 'Wipe', difference: 'Difference', alpha: 'Transparency',
    wall: 'Samples by prompt and step',
    thumb: (step: number, prompt: string) => `Step ${step}: ${prompt}`, choose: (step: number) => `Show step ${step}`, differs: (a: number, b: number) => `Difference of step ${a} and ${b}`, transparency: (step: number) => `Transparency of step ${step}`, sparing: 'Large pictures come when the training pauses or ends, so that the graphics card is left to it.', now: 'Sample now',
  },
  layers: { title: 'What each layer learns', table: (count: number) => `All ${count} layers as a table, those that turned most first`, layer: 'Layer', direction: 'Direction', magnitude: 'Magnitude', step: 'Step', at: (step: number) => `Layers at step ${step}` },
} as const;
