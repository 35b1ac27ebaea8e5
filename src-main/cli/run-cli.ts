// Arguments to exit code. The commands parse; the work is done by engine functions that are handed in.

import { Command, CommanderError } from 'commander';

import { version } from '../../package.json';
import { addAdapterTools, type AdapterTools } from './commands/adapter-tools.ts';
import { addAnalyze, type AnalyzeRequest } from './commands/analyze.ts';
import { addBench, type BenchRequest } from './commands/bench.ts';
import { addDemo, type DemoRequest } from './commands/demo.ts';
import { addDoctor, type DoctorRequest } from './commands/doctor.ts';
import { addExport, type ExportRequest } from './commands/export.ts';
import { addImport, type ImportRequest } from './commands/import.ts';
import { addInspect, type InspectRequest } from './commands/inspect.ts';
import { addLibrary, type LibraryRequest } from './commands/library.ts';
import { addProbe, type ProbeRequest } from './commands/probe.ts';
import { addRecipe, type RecipeRequest } from './commands/recipe.ts';
import { addSample, type SampleRequest } from './commands/sample.ts';
import { addSchema } from './commands/schema.ts';
import { addServe, type Serve } from './commands/serve.ts';
import { addTrain, type CheckRecipe, type Forecast, type RunJob } from './commands/train.ts';
import type { CatalogFields } from '../contract/parse-job.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { runSession, type CommandContext, type CommandLineIo, type CommandResult, type Session } from './session.ts';

type Work<Request> = (request: Request, context: CommandContext) => Promise<CommandResult>;

/** The engine behind the commands; each function loads its own code when it is called. */
export interface Engine {
  readonly catalogFields: () => Promise<CatalogFields>;
  readonly runJob?: RunJob;
  readonly forecast?: Forecast;
  readonly sample?: Work<SampleRequest>;
  readonly export?: Work<ExportRequest>;
  readonly inspect?: Work<InspectRequest>;
  readonly adapterTools?: AdapterTools;
  readonly importSettings?: Work<ImportRequest>;
  readonly recipe?: Work<RecipeRequest>;
  readonly checkRecipe?: CheckRecipe;
  readonly analyze?: Work<AnalyzeRequest>;
  readonly doctor?: Work<DoctorRequest>;
  readonly bench?: Work<BenchRequest>;
  readonly probe?: Work<ProbeRequest>;
  readonly library?: Work<LibraryRequest>;
  readonly demo?: Work<DemoRequest>;
  readonly serve?: Serve;
}

/** Runs a command's body in a session; the command's exit code becomes that of the program. */
export type RunInSession = (isJson: boolean, body: (session: Session) => Promise<ExitCode>) => Promise<void>;

/** Runs one command line (without node and script) and resolves to its exit code. */
export async function runCli(args: readonly string[], io: CommandLineIo, engine: Engine): Promise<ExitCode> {
  let code: ExitCode = exitCodes.ok;
  const inSession: RunInSession = async (isJson, body) => {
    code = await runSession(io, isJson, body);
  };
  const program = new Command('adora')
    .description('Trains style adapters for image diffusion models.')
    .version(version)
    .configureOutput({ writeOut: io.out, writeErr: io.error, getOutHasColors: () => io.hasColour })
    .exitOverride()
    .showHelpAfterError('(--help lists what is possible)');

  if (engine.runJob) addTrain(program, inSession, engine.runJob, engine.catalogFields, engine.forecast, engine.checkRecipe);
  if (engine.sample) addSample(program, inSession, engine.sample);
  if (engine.export) addExport(program, inSession, engine.export);
  if (engine.inspect) addInspect(program, inSession, engine.inspect);
  if (engine.adapterTools) addAdapterTools(program, inSession, engine.adapterTools);
  if (engine.importSettings) addImport(program, inSession, engine.importSettings);
  if (engine.recipe) addRecipe(program, inSession, engine.recipe);
  if (engine.analyze) addAnalyze(program, inSession, engine.analyze);
  if (engine.doctor) addDoctor(program, inSession, engine.doctor);
  if (engine.bench) addBench(program, inSession, engine.bench);
  if (engine.library) addLibrary(program, inSession, engine.library);
  if (engine.probe) addProbe(program, inSession, engine.probe);
  if (engine.demo) addDemo(program, inSession, engine.demo);
  if (engine.serve) addServe(program, inSession, engine.serve, io);
  addSchema(program, inSession, engine.catalogFields, io.out);

  try {
    await program.parseAsync([...args], { from: 'user' });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  }
}
