// Texts of the screen that compares checkpoints and runs.
export const compare = {
  title: 'Compare', run: 'Run', views: 'Ways to compare', scrub: 'Step and strength', grid: 'Grid', runs: 'Runs', canary: 'Overfitting',
  none: 'No checkpoint to compare yet', noneText: 'A run saves checkpoints while it trains. They can be painted here side by side, at any strength, from the same noise.',
  waits: 'A training has the device. Pictures that are asked for now are painted when it pauses or ends.', pause: 'Pause the training',
  settings: {
    title: 'Painted with', prompt: 'Prompt', negative: 'Not wanted', seed: 'Seed', steps: 'Steps of the sampler', guidance: 'Guidance', sampler: 'Sampler',
    help: 'The same noise for all pictures: what differs is what was learnt.',
  },
  axis: { checkpoint: 'Checkpoint', strength: 'Strength', prompt: 'Prompt', guidance: 'Guidance', seed: 'Seed', sampler: 'Sampler' },
  base: 'Base model', step: (step: number) => `Step ${step}`, strength: (value: string) => `strength ${value}`,
  picture: (step: number, strength: string) => (step === 0 ? 'Base model' : `Step ${step} at strength ${strength}`),
  missing: 'Not painted yet', painting: 'Painting …', paint: 'Paint it', paintAll: (count: number) => `Paint all ${count} that are missing`, allMade: 'All of these are painted: moving the sliders is instant.',
  made: (made: number, all: number) => `${made} of ${all} painted`, onDemand: 'Paint what is missing as soon as the sliders rest', beside: 'Wipe against the base model', difference: 'Difference to the base model',
  paintLabel: 'Painting', pictures: 'pictures', stopped: 'Painting was stopped; what is done stays.',
  best: {
    title: 'Checkpoints', probe: 'Loss at fixed noise', saved: 'Step', size: 'Size', use: 'Use for export', mark: (step: number) => `Use for export: step ${step}`, marked: 'Chosen', unmark: (step: number) => `Chosen: step ${step}; press to take it back`, suggested: 'lowest loss',
    text: (step: number) => `Step ${step} has the lowest loss at fixed noise.`, help: 'The lowest loss is a suggestion: eyes decide. Export takes the chosen step, or the last one.', chart: 'Loss at fixed noise of the saved steps',
  },
  axes: {
    columns: 'Columns', rows: 'Rows', values: (axis: string) => `Values: ${axis}`, numbers: 'Numbers, separated by commas', lines: 'One in each line', ids: 'Names, separated by commas', none: 'One row', paint: (count: number) => `Paint ${count} pictures`, tooMany: (most: number) => `At most ${most} pictures at once.`,
    wrong: (axis: string) => `These values cannot be read: ${axis}.`, same: 'Columns and rows are the same.', save: 'Save as PNG', name: 'grid', table: 'Grid of pictures', corner: (rows: string, columns: string) => `${rows} / ${columns}`, title: 'Choose the axes',
  },
  sideBySide: {
    choose: 'Which runs', most: 'Up to four runs, at the same prompt, noise and sampler.', paint: 'Paint them', loss: 'Loss', probe: 'Probe', steps: 'Steps', differences: 'Settings in which they differ', setting: 'Setting', settingOf: (group: string, label: string) => `${group}: ${label}`, own: { 'base.model': 'Base model', 'data.folders': 'Pictures from', task: 'What is trained' }, same: 'Their settings are the same.', absent: '–', none: 'Choose at least one run that has saved a checkpoint.',
    lossText: (name: string, first: string, last: string) => `${name}: loss at fixed noise from ${first} to ${last}`, at: 'Checkpoint',
  },
  offSet: {
    text: 'The canary is a prompt that has nothing to do with your pictures: if its picture moves away from the base model’s as far as a style prompt’s does, the run has learnt too much.',
    style: 'Style prompt', offSet: 'Prompt off the set', measure: 'Measure', chart: 'Change against the base model, in %', chartText: (style: string, offSet: string) => `At the last step: style prompt ${style}, prompt off the set ${offSet}`,
    rules: 'The limits of 60 % and 90 % are rules of thumb, not measurements of your pictures: they say where to look, and your eyes decide. A set that was trained without words that call the style up changes every prompt, and rightly so.',
    share: 'Share', verdict: 'What it says', seeds: 'Mean over', seedCount: (count: number) => (count === 1 ? '1 picture' : `${count} pictures`), table: 'Changes by checkpoint', thumbs: (what: string, step: number) => `${what}, step ${step}`, percent: (value: string) => `${value} %`, strength: 'Strength',
  },
} as const;
