// Beside which values of other settings a setting counts. It stands in the setting's own definition (`counts` in its schema or its
// field), so that nothing is taken and silently without effect.

/** By path, with dots, one value or several; null: the setting is not there. All must hold. Of a list one entry must have it. */
export type Beside = Readonly<Record<string, Value | readonly Value[]>>;
type Value = string | number | boolean | null;

/** One of several must hold. */
export type Counts = Beside | readonly Beside[];

const listOf = <One>(value: One | readonly One[]): readonly One[] => (Array.isArray(value) ? value as readonly One[] : [value as One]);

const valuesAt = (holder: unknown, path: string): unknown[] => path.split('.').reduce<unknown[]>((holders, key) =>
  holders.flatMap((one) => one).map((one) => (one as Readonly<Record<string, unknown>> | null | undefined)?.[key] ?? null), [holder]);

/** Why a setting does not count in this job, as `task is "autoencoder"`; null when it does. */
export function whyIgnored(counts: Counts, job: unknown): string | null {
  const reasons = listOf<Beside>(counts).map((beside) => {
    const failing = Object.entries(beside).find(([path, wanted]) => !valuesAt(job, path).some((value) => listOf<Value>(wanted).includes(value as Value)));
    return failing === undefined ? null : reason(failing, job);
  });
  return reasons.includes(null) ? null : reasons.join(' and ');
}

function reason([path, wanted]: [string, Value | readonly Value[]], job: unknown): string {
  const values = valuesAt(job, path);
  if (values.length !== 1) return `no ${path} is ${listOf<Value>(wanted).map((one) => JSON.stringify(one)).join(' or ')}`;
  return values[0] === null ? `${path} is not set` : `${path} is ${JSON.stringify(values[0])}`;
}
