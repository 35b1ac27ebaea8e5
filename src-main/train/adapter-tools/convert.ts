// `adora convert`: the same adapter in the names of another layout, exactly or not at all.
import { UserError } from '../../base/errors.ts';
import type { DoraAxis } from '../../catalog/define/format.ts';
import { formats } from '../../catalog/formats/index.ts';
import { noteForLayout } from '../export-choice.ts';
import { sourceOfFile } from '../export-source.ts';
import { openAdapter } from '../read-adapter.ts';
import { writeAdapter } from '../write-adapter.ts';
import { dtypeOf } from './plain-layers.ts';
import { sourceWithoutBase, WITHOUT_BASE } from './published-base.ts';
import type { ToolResult } from './resize.ts';

export interface ConvertRequest {
  readonly file: string;
  readonly to: string;
  /** The base model; without it the layers are those of the published model that fits. */
  readonly base?: string;
  /** What magnitudes belong to, where the file leaves it open. */
  readonly axis?: DoraAxis;
  readonly out: string;
}

/** Errors: `convert.layout`, `convert.axis`, `convert.needs-base`, those of reading and writing. */
export async function convertCommand({ file, to, base, axis, out }: ConvertRequest): Promise<ToolResult> {
  const format = Object.hasOwn(formats, to) ? formats[to] : undefined;
  if (!format) throw new UserError('convert.layout', `There is no layout "${to}": choose ${Object.keys(formats).join(' or ')}.`, { to });
  const source = base === undefined ? sourceWithoutBase(file, axis) : sourceOfFile(file, base, axis);
  if (source.axis !== null && !format.axes.includes(source.axis)) {
    throw new UserError('convert.axis', `"${file}" has its magnitudes on the ${source.axis} axis, and the layout ${format.label} has a place for ${format.axes.join(' and ')} only; one cannot be computed from the other. ` +
      'Make a plain LoRA with "adora export FILE --base MODEL --as lora", which measures its error, or merge it into the model with --as merged.', { file, to, axis: source.axis });
  }
  const note = noteForLayout(source, format);
  await writeAdapter(source, format, out, { dtype: dtypeOf(openAdapter(file)), note });
  return { text: `${out}: ${source.layers.length} layers in the layout ${format.label}.${note && ` ${note}`}${base === undefined ? ` ${WITHOUT_BASE}` : ''}`, data: { out, layout: to, layers: source.layers.length, axis: source.axis, note } };
}
