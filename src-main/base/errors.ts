// The two kinds of failure: a UserError is somebody's input, an assertion is our bug.

export type ErrorData = Readonly<Record<string, unknown>>;

/**
 * Something the user can act on. `code` is stable (`area.kebab-name`) and is what tests and the UI look at;
 * `message` is one sentence that says what is wrong, where, and what to do.
 */
export class UserError extends Error {
  readonly code: string;
  readonly data: ErrorData;

  constructor(code: string, message: string, data: ErrorData = {}) {
    super(message);
    this.name = 'UserError';
    this.code = code;
    this.data = data;
  }
}

/** Throws when an invariant of our own code does not hold. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`Internal error: ${message}`);
}
