// All files that cannot be used are reported at once: nobody wants to repair a folder one error at a time.
import { UserError } from '../base/errors.ts';
import { listNames, shortName } from './names.ts';

export interface BadFile {
  readonly path: string;
  readonly error: UserError;
}

const REASONS: Readonly<Record<string, string>> = {
  'images.animated': 'an animation',
  'images.damaged': 'damaged or cut short',
  'images.empty': 'an empty file',
  'images.kind': 'not PNG, JPEG, WebP or AVIF',
  'images.too-large': 'too many pixels',
  'files.not-found': 'gone',
  'files.no-access': 'no permission to read it',
  'dataset.caption-encoding': 'not UTF-8 text',
};

/** The result of `work`, or the file with its UserError; other failures are thrown. */
export async function tryFile<T>(path: string, work: () => Promise<T>): Promise<T | BadFile> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof UserError) return { path, error };
    throw error;
  }
}

const isBadFile = (result: unknown): result is BadFile =>
  typeof result === 'object' && result !== null && 'error' in result && result.error instanceof UserError;

/** The results apart: of the good files, and the bad ones. */
export const sortOut = <T>(results: readonly (T | BadFile)[]): { readonly good: T[]; readonly bad: BadFile[] } =>
  ({ good: results.filter((result): result is T => !isBadFile(result)), bad: results.filter(isBadFile) });

/** Throws UserError `dataset.bad-files` that names the files, if there are any. */
export function refuseBadFiles(bad: readonly BadFile[]): void {
  const [first] = bad;
  if (first === undefined) return;
  const files = bad.map(({ path, error }) => ({ path, code: error.code, message: error.message }));
  const message = bad.length === 1 ? first.error.message
    : `${bad.length} files of the data set cannot be used: ${listNames(bad.map(({ path, error }) =>
      `${shortName(path)} (${REASONS[error.code] ?? 'cannot be read'})`))}: repair or remove them, then start again.`;
  throw new UserError('dataset.bad-files', message, { files });
}
