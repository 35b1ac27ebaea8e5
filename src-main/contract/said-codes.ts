// Codes of what events say: lines of a run's log have a kind and a name, and these are their codes.

export const verdictCode = (name: string, ok: boolean, about?: string): string => `verdict.${name}.${about === undefined ? '' : `${about}.`}${ok ? 'holds' : 'fails'}`;

export const phaseCode = (name: string): string => `phase.${name.replaceAll(' ', '-')}`;
