// The commands of a trainer process. Engine code is loaded by the command that needs it.

import type { TrainEventBody } from '../contract/events.ts';
import type { CommandName, RequestOf, ResultOf } from '../contract/trainer.ts';
import { phaseText, type CommandContext } from './context.ts';

type Commands = { readonly [Name in CommandName]: (request: RequestOf<Name>, context: CommandContext) => Promise<ResultOf<Name>> };

/** Phases become progress; other events of commands that do not train say nothing to a window. */
const phases = ({ onProgress }: CommandContext) => (event: TrainEventBody): void => {
  if (event.kind === 'phase') onProgress(phaseText(event), event.done, event.total, event.unit);
};

export const commands: Commands = {
  train: async (request, { control, onEvent }) => {
    const { runJob } = await import('../train/run-job.ts');
    return runJob({ ...request, onEvent, control });
  },
  export: async (request, context) => (await import('./export.ts')).exportWithProof(request, context),
  paint: async (request, context) => (await import('./paint.ts')).paint(request, context),
  analyze: async ({ run }, context) => {
    const { analyzeRun, writeAnalysis } = await import('../train/analyze.ts');
    const analysis = await analyzeRun(run, { onEvent: phases(context), shouldStop: context.control.shouldStop });
    await writeAnalysis(analysis, run);
    return { steps: analysis.steps, adapter: analysis.adapter };
  },
  inspect: async ({ file }) => (await import('../train/inspect.ts')).inspectCommand({ file, tensors: false }),
  model: async ({ path }) => (await import('./forecast.ts')).modelFacts(path),
  forecast: async (request) => (await import('./forecast.ts')).forecastFacts(request),
  devices: async () => (await import('../runtime/onnx/find-devices.ts')).findDevices(),
  trial: async ({ device }, { onSaid }) => {
    let known: unknown = null;
    await (await import('../runtime/onnx/find-devices.ts')).tryHere(device, (more) => onSaid(known = more));
    return known;
  },
  doctor: async ({ device }, context) => (await import('../train/doctor.ts')).doctorCommand({ device }, { onEvent: phases(context) }, ''),
  tag: async (request, context) => (await import('../train/tagger.ts')).tagPictures(request, {
    onProgress: (done, total) => context.onProgress(phaseText({ name: 'tag' }), done, total, 'pictures'), shouldStop: context.control.shouldStop,
  }),
};
