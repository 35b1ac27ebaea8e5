// Trained tensors that an optimizer updates together. Adapters have hundreds of small ones, and an operation on a few
// thousand elements costs as much time to start as to compute.
import { sizeOf, type Shape } from '../base/shape.ts';

/** Values that live in one tensor, one after the other. */
export interface Pack {
  /** Name of the tensor for one member, else a name of its own. */
  readonly name: string;
  readonly shape: Shape;
  readonly members: readonly PackMember[];
}
export interface PackMember {
  readonly name: string;
  readonly shape: Shape;
  /** First element. */
  readonly offset: number;
}
interface Named {
  readonly name: string;
  readonly shape: Shape;
}

/** Elements of a pack: few enough for the buffers of an update to stay in a processor's cache. */
const LARGEST = 1 << 16;

/** Every tensor by itself. */
export const packsApart = (tensors: readonly Named[]): Pack[] => tensors.map(({ name, shape }) => ({ name, shape, members: [{ name, shape, offset: 0 }] }));

/** Neighbours of the same `groupOf` together; a tensor that is larger than a pack stays by itself. */
export function packsTogether(tensors: readonly Named[], groupOf: (name: string) => unknown): Pack[] {
  const packs: Pack[] = [];
  let members: PackMember[] = [];
  let size = 0;
  const close = (): void => {
    const [first] = members;
    if (members.length === 1) packs.push(...packsApart([first!]));
    else if (first) packs.push({ name: `pack:${first.name}`, shape: [size], members });
    [members, size] = [[], 0];
  };
  for (const { name, shape } of tensors) {
    const own = sizeOf(shape);
    const isOther = members.length > 0 && groupOf(members[0]!.name) !== groupOf(name);
    if (isOther || size + own > LARGEST) close();
    members.push({ name, shape, offset: size });
    size += own;
  }
  close();
  return packs;
}

/** The values of a pack from those of its members. */
export function packed({ shape, members }: Pack, valuesOf: (name: string) => Float32Array): Float32Array {
  if (members.length === 1) return valuesOf(members[0]!.name);
  const all = new Float32Array(sizeOf(shape));
  for (const { name, offset } of members) all.set(valuesOf(name), offset);
  return all;
}

/** Copies of the members' values. */
export const unpacked = ({ members }: Pack, values: Float32Array): { readonly member: PackMember; readonly values: Float32Array }[] =>
  members.map((member) => ({ member, values: values.slice(member.offset, member.offset + sizeOf(member.shape)) }));
