// What the operating system says about a file, in a sentence a person can act on.
import { UserError } from '../base/errors.ts';

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;

/** The error to throw when writing `path` failed: a UserError where the cause is the user's to remove. */
export function writeError(error: unknown, path: string): unknown {
  const data = { path };
  switch (codeOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new UserError('files.disk-full', `The disk is full while writing "${path}": free some space or ` +
        'choose a folder on another disk; earlier files are untouched.', data);
    case 'EFBIG':
      return new UserError('files.too-large', `"${path}" is too large for its disk's file system (FAT32 allows ` +
        '4 GB): choose a folder on another disk.', data);
    case 'EACCES':
    case 'EROFS':
    case 'EPERM':
      return new UserError('files.read-only', `"${path}" cannot be written, because the folder or file is ` +
        'read-only or belongs to somebody else: choose a folder that you may write to.', data);
    case 'ENOTDIR':
    case 'EEXIST':
      return new UserError('files.not-a-folder', `"${path}" cannot be written, because a part of its path is a ` +
        'file and not a folder: choose another folder.', data);
    case 'EISDIR':
    case 'ENOTEMPTY':
      return new UserError('files.is-a-folder', `"${path}" cannot be written, because a folder of that name is ` +
        'there: choose another name.', data);
    case 'ENOENT':
      return new UserError('files.no-place', `"${path}" cannot be made, because its folder does not exist or the ` +
        'system makes no files there: choose another folder.', data);
    case 'EDIFFERS':
      return new UserError('files.differs', `"${path}" did not hold what was written to it, so it was not left: check the ` +
        'disk, or choose a folder on another one; earlier files are untouched.', data);
    case 'ENAMETOOLONG':
      return new UserError('files.name-too-long', `"${path}" is longer than the disk allows: choose a shorter name.`,
        data);
    default:
      return error;
  }
}

/** The error to throw when reading `path` failed. `what` names what it should have been, as "the checkpoint". */
export function readError(error: unknown, path: string, what = 'the file'): unknown {
  const data = { path };
  switch (codeOf(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new UserError('files.not-found', `"${path}" (${what}) does not exist: check the path, or whether it ` +
        'was moved or its disk is not connected.', data);
    case 'EACCES':
    case 'EPERM':
      return new UserError('files.no-access', `"${path}" (${what}) cannot be read with your permissions: change ` +
        'them or copy it to a folder of your own.', data);
    case 'EISDIR':
      return new UserError('files.is-a-folder', `"${path}" is a folder, but ${what} is a file: choose a file.`, data);
    case 'EIO':
      return new UserError('files.damaged-disk', `"${path}" (${what}) cannot be read because the disk reports an ` +
        'error: copy it again from where it came from.', data);
    default:
      return error;
  }
}
