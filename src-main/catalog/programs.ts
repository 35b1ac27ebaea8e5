// Which files a program gets, and whether it can show what was trained. One place for trainer, command line and studio.
import type { Consumer, Job } from '../contract/job.ts';
import { say, type Text } from '../contract/text.ts';
import { consumers } from './consumers/index.ts';
import type { AdapterFormat, DoraAxis, Program } from './define/format.ts';
import { formats } from './formats/index.ts';

export const programs = Object.keys(consumers) as Program[];

export const programsFor = (target: Consumer): readonly Program[] => (target === 'all' ? programs : [target]);

/** Whether the program renders an adapter as trained; `null` is one without magnitudes. */
export const exactIn = (program: Program, axis: DoraAxis | null): boolean => axis === null || consumers[program].axis === axis;

export interface LayoutChoice {
  readonly layout: string;
  readonly format: AdapterFormat;
  readonly programs: readonly Program[];
}

/** The layouts that a program (or any) reads, with the programs that each is for. */
export function layoutsFor(target: Consumer): LayoutChoice[] {
  return Object.entries(formats).flatMap(([layout, format]) => {
    const own = programs.filter((program) => consumers[program].naming === format.naming && (target === 'all' || target === program));
    return own.length > 0 ? [{ layout, format, programs: own }] : [];
  });
}

/** The layout that is written for a program. */
export const formatOf = (program: Program): AdapterFormat => layoutsFor(program)[0]!.format;

/** The axis of magnitudes that a checked job trains; null for an adapter without. */
export function axisOfJob({ adapter }: Pick<Job, 'adapter'>): DoraAxis | null {
  const { axis } = adapter as Readonly<Record<string, unknown>>;
  return typeof axis === 'string' ? (axis === 'input' ? 'input' : 'output') : null;
}

/** What a program makes of an adapter, for people. */
export interface ProgramVerdict extends Text {
  readonly id: Program;
  readonly label: string;
  /** Label of the layout that it is given. */
  readonly layout: string;
  readonly exact: boolean;
  readonly alternatives: readonly ({ readonly kind: 'merged' | 'other-tool' | 'train-again' } & Text)[];
}

/** Every program's verdict on a run whose adapter has its magnitudes on `axis`. */
export const verdictsOnRun = (axis: DoraAxis | null): ProgramVerdict[] => programs.map((id) => {
  const { label, axis: applied } = consumers[id];
  const exact = exactIn(id, axis);
  const others = programs.filter((other) => exactIn(other, axis)).map((other) => consumers[other].label);
  return {
    id, label, layout: formatOf(id).label, exact,
    ...(exact ? say('program.exact', 'Shows exactly what was trained.')
      : say('program.other-axis', `Applies magnitudes per ${applied}, and this run has them per ${axis}: a file would show something else, so none is written.`, { applied, axis })),
    alternatives: exact ? [] : [
      { kind: 'merged', ...say('program.merged', 'Export the merged model: exact everywhere.') },
      { kind: 'other-tool', ...say('program.other-tool', `Export for ${others.join(', ')}: exact there.`, { others }) },
      { kind: 'train-again', ...say('program.train-again', `Train again for ${label}: the axis follows from the program that is chosen before training.`, { label }) },
    ],
  };
});

/** `exact` is null where nothing tells. */
export type FileVerdict = Omit<ProgramVerdict, 'exact' | 'alternatives'> & { readonly exact: boolean | null };

/**
 * Every program's verdict on a file that is there.
 * @param layout of the file in the catalog; null: one that is not known
 * @param axis of its magnitudes; null: none; undefined: there are magnitudes, and nothing tells along which
 */
export const verdictsOnFile = (layout: string | null, axis: DoraAxis | null | undefined): FileVerdict[] => programs.map((id) => {
  const { label, axis: applied, naming } = consumers[id];
  const own = formatOf(id).label;
  if (layout === null || formats[layout]?.naming !== naming) {
    return { id, label, layout: own, exact: null, ...say('program.other-names', `Is given other names of tensors (${own}); whether it reads these was not checked.`, { layout: own }) };
  }
  if (axis === undefined) return { id, label, layout: own, exact: null, ...say('program.unknown-axis', `Applies magnitudes per ${applied}; this file does not say along which axis its own were trained.`, { applied }) };
  const exact = exactIn(id, axis);
  const verdict = exact ? say('program.file-exact', 'Shows what the file holds.')
    : say('program.file-other-axis', `Applies magnitudes per ${applied}, and this file has them per ${axis}: it shows something else.`, { applied, axis });
  return { id, label, layout: own, exact, ...verdict };
});
