// Reverse-mode differentiation: the gradient of a scalar is another part of the same graph. Rules of the ops emit nodes;
// this walk does what no rule has to do: it keeps to the paths between loss and targets, sums broadcast axes back, and adds
// up the contributions of several users.
import { assert } from '../base/errors.ts';
import { isFloat } from '../base/dtype.ts';
import { broadcastAxes, sameShape } from '../base/shape.ts';
import type { Builder } from './builder.ts';
import { ops } from './ops/index.ts';
import type { Arity, Attrs, Op, Value } from './types.ts';
import { reachable } from './builder.ts';

/** Region of the gradient nodes of a forward region. */
export const backwardRegion = (region: string): string => `${region}${BACKWARD}`;
const BACKWARD = '~back';
export const forwardOf = (region: string): string | null => (region.endsWith(BACKWARD) ? region.slice(0, -BACKWARD.length) : null);

/**
 * Gradients of the scalar `loss` with respect to `targets`, in their order. A target that does not influence the loss
 * has gradient null.
 * @param seed gradient of the loss itself, 1 by default; a fed scalar makes loss scaling
 */
export function gradients(g: Builder, loss: Value, targets: readonly Value[], seed?: Value): (Value | null)[] {
  assert(loss.shape.length === 0, 'the loss must be a scalar');
  return vectorJacobian(g, loss, targets, seed ?? g.scalar(1, loss.dtype));
}

/** Transposed Jacobian of `output` times `dy`, for each target. */
export function vectorJacobian(g: Builder, output: Value, targets: readonly Value[], dy: Value): (Value | null)[] {
  const nodes = reachable([output]);
  const relevant = leadingTo(new Set(targets), nodes);
  const parts = new Map<Value, Value[]>([[output, [dy]]]);
  const totals = new Map<Value, Value>();

  for (const node of nodes.reverse()) {
    const contributions = parts.get(node);
    if (!contributions || !relevant.has(node)) continue;
    parts.delete(node);
    // A leaf is of no region; its gradient adds up where the last part of it was made, which cuts no block in two.
    g.region(node.op === 'leaf' ? contributions.at(-1)!.region : backwardRegion(node.region), () => {
      const total = contributions.reduce((a, b) => g.add(a, b));
      totals.set(node, total);
      inputGradients(g, node, total, relevant).forEach((gradient, i) => {
        if (!gradient) return;
        const input = node.inputs[i]!;
        const list = parts.get(input) ?? [];
        list.push(sumTo(g, gradient, input));
        parts.set(input, list);
      });
    });
  }
  return targets.map((target) => totals.get(target) ?? null);
}

function inputGradients(g: Builder, node: Value, dy: Value, relevant: ReadonlySet<Value>): readonly (Value | null)[] {
  if (node.op === 'leaf') return [];
  const wants = (i: number): boolean => relevant.has(node.inputs[i]!);
  if (!node.inputs.some((_, i) => wants(i))) return [];
  const op = ops[node.op] as unknown as Op<Attrs, Arity>;
  if (op.grad === 'blocked') return [];
  if (op.grad) {
    const all = op.grad(g, { inputs: node.inputs, output: node, dy, attrs: node.attrs, wants });
    return all.map((gradient, i) => (wants(i) ? gradient : null));
  }
  assert(op.kind === 'composite', `${node.op} has no gradient`);
  // The body is built again here; whatever of it the gradient does not need is dropped with the unreachable nodes.
  const wanted = node.inputs.filter((_, i) => wants(i));
  const body = op.body(g, node.inputs, node.attrs);
  const found = localJacobian(g, body, node.inputs, wanted, dy);
  return node.inputs.map((input) => found.get(input) ?? null);
}

/** Like vectorJacobian, but stops at `boundary` and stays in the current region. */
function localJacobian(g: Builder, output: Value, boundary: readonly Value[], wanted: readonly Value[], dy: Value): Map<Value, Value> {
  const stop = new Set(boundary);
  const inside: Value[] = [];
  const seen = new Set<Value>();
  const visit = (value: Value): void => {
    if (seen.has(value)) return;
    seen.add(value);
    if (!stop.has(value)) value.inputs.forEach(visit);
    inside.push(value);
  };
  visit(output);
  const relevant = leadingTo(new Set(wanted), inside, stop);
  const totals = new Map<Value, Value>([[output, dy]]);
  for (const node of inside.reverse()) {
    const total = totals.get(node);
    if (!total || stop.has(node) || !relevant.has(node)) continue;
    inputGradients(g, node, total, relevant).forEach((gradient, i) => {
      if (!gradient) return;
      const input = node.inputs[i]!;
      const part = sumTo(g, gradient, input);
      const known = totals.get(input);
      totals.set(input, known ? g.add(known, part) : part);
    });
  }
  return new Map(wanted.flatMap((value) => (totals.has(value) ? [[value, totals.get(value)!]] : [])));
}

/** The nodes from which a target can be reached along inputs, targets included. Nodes come inputs first. */
function leadingTo(targets: ReadonlySet<Value>, nodes: readonly Value[], stop: ReadonlySet<Value> = new Set()): Set<Value> {
  const relevant = new Set<Value>();
  for (const node of nodes) {
    const blocked = node.op !== 'leaf' && (ops[node.op] as unknown as Op<Attrs, Arity>).grad === 'blocked';
    const passes = !blocked && !stop.has(node) && isFloat(node.dtype) && node.inputs.some((input) => relevant.has(input));
    if (targets.has(node) || passes) relevant.add(node);
  }
  return relevant;
}

/** Sums a gradient over the axes along which the input was broadcast. */
function sumTo(g: Builder, gradient: Value, input: Value): Value {
  if (sameShape(gradient.shape, input.shape)) return gradient;
  const axes = broadcastAxes(input.shape, gradient.shape);
  return g.reshape(g.reduceSum(gradient, { axes, keep: true }), { shape: input.shape });
}
