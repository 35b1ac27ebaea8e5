// Texts of the parts that all screens use: bar, dialogs, pickers, fields.
export const parts = {
  screens: 'Screens',
  bar: {
    label: 'Training', none: 'No training is running.', step: 'Step', timeLeft: 'Time left', left: (time: string) => `${time} left`, lossOf: 'Loss of the last step', loss: 'loss', stepWord: 'step', perStep: (seconds: string) => `${seconds} s/step`, memory: 'Memory in use',
    waiting: (count: number) => `${count} waiting`, held: (count: number) => `${count} left from last time`, training: (name: string) => `Training ${name}`, pauseHelp: 'Saves and gives the device back', stopHelp: 'Saves and ends; can be resumed', goOn: 'Go on',
    phase: (name: string, done: number, total: number, unit: string) => (total > 0 ? `${name} ${done} / ${total} ${unit}` : name),
  },
  time: { moment: 'under 1 s', seconds: (count: number) => `${count} s`, minutes: (count: number) => `${count} min`, hours: (hours: number, minutes: number) => `${hours} h ${minutes} min` },
  keys: { mod: 'Ctrl', alt: 'Alt', shift: 'Shift', escape: 'Esc', enter: 'Enter' },
  progress: { of: (done: number, total: number, unit: string) => (total > 0 ? `${done} of ${total} ${unit}` : `${done > 0 ? done : ''} ${unit}`), cancel: (what: string) => `Cancel: ${what}` },
  palette: { title: 'Commands', example: 'Type what you want to do', search: 'Search commands', none: (search: string) => `Nothing fits “${search}”.` },
  picker: {
    kinds: { pictures: 'Pictures', model: 'Checkpoints, and model_index.json of model folders', adapter: 'Adapters', tagger: 'ONNX models', csv: 'Lists of tags', recipe: 'Jobs and settings' },
    lookIn: 'Look in', places: 'Places', up: 'Up', contents: 'Contents', open: (name: string) => `Open ${name}`, pictures: (count: number) => `${count} pictures`, choose: 'Choose', chooseOne: (name: string) => `Choose ${name}`, looking: 'Looking …', nothing: 'Nothing here that fits.', noChoice: 'Nothing chosen', useFolder: 'Use this folder',
  },
  field: {
    why: (label: string) => `Why: ${label}`, reset: (label: string, value: string) => `Reset ${label} to ${value}`, back: 'Back to the default', default: 'default', on: 'On', off: 'Off', lines: 'One in each line', range: (min: string, max: string) => `${min} to ${max}`, open: (min: string) => `from ${min}`,
    number: 'Type a number.', whole: 'Type a whole number.', least: (typed: string, min: string) => `${typed} is too small: the least is ${min}.`, most: (typed: string, max: string) => `${typed} is too large: the most is ${max}.`,
  },
  wipe: { between: (before: string, after: string) => `Wipe between ${before} and ${after}`, share: (percent: number, label: string) => `${percent} % ${label}` },
  view: { same: 'same', differs: (percent: number) => `differs by ${percent} % or more`, failed: 'The pictures could not be shown.' },
  chart: { step: 'Step' },
  scatter: {
    text: (label: string, layers: number, direction: string, magnitude: string) => `${label}: ${layers} layers, direction up to ${direction}, magnitude up to ${magnitude}`, direction: 'change of direction (1 − cosine)', magnitude: 'change of magnitude, relative', point: (layer: string, direction: string, magnitude: string) => `${layer}: direction ${direction}, magnitude ${magnitude}`,
    kinds: ['Cross attention', 'Self attention', 'Feed-forward', 'Convolution and others'],
  },
  sheet: { grid: 'In the picture grid: arrow keys move, Space selects, Shift and Space select up to there, X leaves a picture out or takes it in.' },
  toast: { dismiss: 'Dismiss' },
  commands: {
    window: 'Window', goTo: 'Go to', pictures: 'Pictures', training: 'Training', undo: 'Undo change of pictures', redo: 'Redo change of pictures', scan: 'Look for new pictures', pause: 'Pause training', resume: 'Resume training', stop: 'Stop training', goOn: 'Go on with trainings that wait', theme: (name: string) => `Theme: ${name}`,
    newProject: 'New project',
  },
  studio: {
    lost: 'The connection to Adora was lost; it is being made again.', selfEnded: 'the training ended by itself.', ended: (name: string, why: string) => `${name}: ${why}`, finished: (name: string) => `${name} has finished.`, export: 'Export', taskFailed: (label: string) => `${label}: failed.`, sample: 'A sample comes after this step.',
  },
  proof: { waiting: 'Not measured yet: the first steps will show it.' },
} as const;
