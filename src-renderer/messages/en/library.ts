// Texts of the screen that lists checkpoints and adapters on disk.
export const library = {
  title: 'Library', again: 'Look again', looking: 'Looking for files', kinds: 'Kinds of files', models: 'Checkpoints', adapters: 'Adapters', inspect: 'Inspect', inspectOne: (name: string) => `Inspect ${name}`, tryIt: 'Try it', tryOne: (name: string) => `Try it: ${name}`,
  noModels: 'No checkpoint found. Add folders in the settings.', noAdapters: 'No adapter found. Exports of your runs appear here.', files: 'files', unknown: 'Unknown', starter: 'Starter model', withMagnitudes: 'with magnitudes', find: 'Find by name', rank: (rank: number) => `rank ${rank}`, axis: (axis: string) => `magnitudes per ${axis}`, trigger: (words: string) => `Called up by: ${words}`, reading: 'Reading the file …',
  facts: 'Facts', programs: 'Which programs show it', program: 'Program', exact: 'Exact', notExact: 'Not exact', notKnown: 'Not known', what: 'What it does', layers: 'Layers', layer: 'Layer', rankHead: 'Rank', shape: 'Parts', norm: 'Size of the change', metadata: 'What the file says of itself', key: 'Key', value: 'Value', more: (count: number) => `${count} more layers`, all: 'Show all layers',
  trial: {
    title: (name: string) => `Try ${name}`, on: 'On the checkpoint', none: 'There is no checkpoint of its kind in the library: add a folder in the settings.', unknown: 'The file does not tell its kind: if the checkpoint does not fit, painting says so.',
    prompt: 'Prompt', negative: 'Not wanted', seed: 'Seed', steps: 'Steps of the sampler', guidance: 'Guidance', sampler: 'Sampler', strength: 'Strength', paint: 'Paint', base: 'Without', adapted: (strength: string) => `Strength ${strength}`, painting: 'Painting', pictures: 'pictures', first: 'Nothing painted yet.', views: 'Ways to look', wipe: 'Wipe', difference: 'Difference', differs: 'Where the two pictures differ',
  },
} as const;
