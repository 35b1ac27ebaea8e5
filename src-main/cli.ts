// Entry of `adora` on the command line. Engine code is loaded by the command that needs it.

import { join } from 'node:path';
import { runCli, type Engine } from './cli/run-cli.ts';
import type { CommandLineIo } from './cli/session.ts';
import type { Job } from './contract/job.ts';

const readJob = async (path: string): Promise<Job> =>
  (await (await import('./app/job-file.ts')).readJobFile(path, await engine.catalogFields())).job;

const engine: Engine = {
  catalogFields: async () => (await import('./catalog/index.ts')).catalogFields(),
  forecast: async (request) => (await import('./train/forecast.ts')).forecastJob(request),
  runJob: async (request) => (await import('./train/run-job.ts')).runJob(request),
  sample: async (request, context) => (await import('./train/sample-command.ts')).sampleCommand(request, context),
  export: async (request, context) => (await import('./train/export-command.ts')).exportCommand(request, context),
  inspect: async (request) => (await import('./train/inspect.ts')).inspectCommand(request),
  adapterTools: {
    convert: async (request) => (await import('./train/adapter-tools/convert.ts')).convertCommand(request),
    resize: async (request) => (await import('./train/adapter-tools/resize.ts')).resizeCommand(request),
    extract: async (request, context) => (await import('./train/adapter-tools/extract.ts')).extractCommand(request, context),
    merge: async (request) => (await import('./train/adapter-tools/merge-adapters.ts')).mergeCommand(request),
  },
  importSettings: async (request) => (await import('./app/import-command.ts')).importCommand(request, await engine.catalogFields()),
  recipe: async (request) => (await import('./train/recipe-command.ts')).recipeCommand(request),
  checkRecipe: async (recipe, job) => (await import('./train/recipe-check.ts')).checkRecipe(recipe, job),
  library: async (request) => (await import('./app/library-command.ts')).libraryCommand(request),
  probe: async (request) => (await import('./train/probe.ts')).probeCommand(request),
  analyze: async (request, context) => (await import('./train/analyze.ts')).analyzeCommand(request, context),
  doctor: async (request, context) => (await import('./train/doctor.ts')).doctorCommand(request, context, process.argv[1]!),
  bench: async (request, context) => (await import('./train/bench.ts')).benchCommand(request, context, { entry: process.argv[1]!, assets: join(import.meta.dirname, '../../assets') }),
  serve: async (request, context) => (await import('./app/serve-command.ts')).serveCommand(request, context, process.argv[1]!),
  demo: async (request, context) => (await import('./train/demo.ts')).demoCommand(request, context, readJob),
};

const io: CommandLineIo = {
  isTerminal: process.stdout.isTTY === true,
  hasColour: process.stdout.isTTY === true && (process.env['NO_COLOR'] ?? '') === '',
  columns: () => process.stdout.columns ?? 80,
  out: (text) => void process.stdout.write(text),
  error: (text) => void process.stderr.write(text),
  now: () => Date.now(),
};

// The reader of a pipe may leave early (`adora ... | head`).
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await runCli(process.argv.slice(2), io, engine);
