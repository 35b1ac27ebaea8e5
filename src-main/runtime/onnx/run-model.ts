// A whole ONNX model of the user's, with one input and one output: taggers.
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { UserError } from '../../base/errors.ts';

export interface RunnableModel {
  /** Of the input; an extent that the model leaves open is null. */
  readonly shape: readonly (number | null)[];
  run(data: Float32Array, shape: readonly number[]): Promise<Float32Array>;
  dispose(): Promise<void>;
}

/** On the CPU. Errors: `tagger.not-onnx`, `tagger.inputs`. */
export async function openRunnableModel(path: string): Promise<RunnableModel> {
  let session: InferenceSession;
  try {
    session = await InferenceSession.create(path, { executionProviders: ['cpu'], logSeverityLevel: 3 });
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] ?? '' : String(error);
    throw new UserError('tagger.not-onnx', `"${path}" cannot be opened as an ONNX model (${reason}): choose the tagger's model.onnx.`, { path });
  }
  const [input] = session.inputMetadata;
  const output = session.outputNames[0];
  if (!input?.isTensor || input.type !== 'float32' || session.inputNames.length !== 1 || output === undefined) {
    await session.release();
    throw new UserError('tagger.inputs', `"${path}" is no tagger: one with one picture as its input (32-bit numbers) is needed.`, { path });
  }
  return {
    shape: input.shape.map((extent) => (typeof extent === 'number' && extent > 0 ? extent : null)),
    run: async (data, shape) => {
      const results = await session.run({ [input.name]: new Tensor('float32', data, [...shape]) });
      return results[output]!.data as Float32Array;
    },
    dispose: () => session.release(),
  };
}
