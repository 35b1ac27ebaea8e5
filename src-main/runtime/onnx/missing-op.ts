// Which operation a device lacks. ONNX Runtime only says that there is one, so the model is cut shorter until it does not.
import { InferenceSession } from 'onnxruntime-node';
import { UserError } from '../../base/errors.ts';
import { sessionOptions, type SessionSettings } from './devices.ts';
import { modelBytes, type ModelSpec, type NodeSpec } from './model-proto.ts';

/** Whether a session could not be made because it would have needed the CPU for some nodes (`disable_cpu_ep_fallback`). */
export const isMissingOp = (text: string): boolean => text.includes('fallback to CPU EP has been explicitly disabled');

/** The error `device.missing-op`, naming the first operation of `model` that the device has not. */
export async function missingOpError(model: ModelSpec, settings: SessionSettings, part: string): Promise<UserError> {
  // The shortest run of first nodes that fails ends with the node looked for.
  let works = 0;
  let fails = model.nodes.length;
  while (fails - works > 1) {
    const middle = (works + fails) >> 1;
    if (await lacksOp(beginningOf(model, middle), settings)) fails = middle;
    else works = middle;
  }
  const { device } = settings;
  const op = nameOf(model, model.nodes[fails - 1]!);
  return new UserError('device.missing-op', `The device "${device}" has no operation ${op}, which the part "${part}" needs: choose the device "cpu".`, { device, op, part });
}

async function lacksOp(model: ModelSpec, settings: SessionSettings): Promise<boolean> {
  try {
    const session = await InferenceSession.create(modelBytes(model), { ...sessionOptions(settings), logSeverityLevel: 4 });
    await session.release();
    return false;
  } catch (error) {
    return isMissingOp(error instanceof Error ? error.message : '');
  }
}

/** The model with its first `count` nodes; what no other of them uses are its outputs. */
function beginningOf(model: ModelSpec, count: number): ModelSpec {
  const nodes = model.nodes.slice(0, count);
  const used = new Set(nodes.flatMap(({ inputs }) => inputs));
  const outputs = nodes.flatMap((node) => node.outputs).filter((name) => !used.has(name)).map((name) => ({ name }));
  return { ...model, nodes, outputs };
}

/** "Cast of i64": the element type where it is known without inference. */
function nameOf({ inputs, initializers }: ModelSpec, node: NodeSpec): string {
  const typed = [...inputs, ...initializers].find(({ name }) => name === node.inputs[0]);
  return typed ? `${node.opType} of ${typed.dtype}` : node.opType;
}
