// Whatever was thrown, as a code and one sentence.

import { UserError } from '../base/errors.ts';

export interface FailureText {
  readonly code: string;
  readonly text: string;
  readonly data: Record<string, unknown>;
  /** Stack of a fault in our own code; null where the user can act. */
  readonly stack: string | null;
}

const systemTexts: Readonly<Record<string, string>> = {
  ENOSPC: 'The disk is full. Free some space and resume the run; what was saved before is untouched.',
  EDQUOT: 'Your disk quota is used up. Free some space and resume the run; what was saved before is untouched.',
  EROFS: 'The disk is read-only. Choose another folder.',
  EACCES: 'Access is denied. Choose another file or folder, or change its rights.',
  EPERM: 'The operation is not permitted. Choose another file or folder, or change its rights.',
  ENOENT: 'There is no such file or folder.',
  EMFILE: 'Too many files are open. Close other programs or raise the limit.',
  ENOTDIR: 'A part of the path is a file, not a folder.',
  EISDIR: 'It is a folder, not a file.',
};

/** Explains user errors and errors of the operating system; everything else is an internal error with its stack. */
export function failureText(error: unknown): FailureText {
  if (error instanceof UserError) return { code: error.code, text: error.message, data: { ...error.data }, stack: null };
  if (error instanceof Error) {
    const { code, path } = error as NodeJS.ErrnoException;
    const text = code === undefined ? undefined : systemTexts[code];
    if (text !== undefined) {
      const where = path === undefined ? '' : ` (${path})`;
      return { code: `system.${String(code).toLowerCase()}`, text: `${text}${where}`, data: { code, path }, stack: null };
    }
    const message = error.message.startsWith('Internal error') ? error.message : `Internal error: ${error.message}`;
    return { code: 'internal', text: message, data: {}, stack: error.stack ?? null };
  }
  return { code: 'internal', text: `Internal error: ${String(error)}`, data: {}, stack: null };
}
