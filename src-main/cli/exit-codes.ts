/** Exit codes of `adora`. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Errors of what was typed besides those of jobs: names of runs and devices, options that are missing or do not go together. */
const USAGE: readonly string[] = [
  'run.missing', 'run.not-empty', 'run.not-a-folder', 'run.in-use', 'run.bad-job', 'device.unknown', 'bench.unknown',
  'export.rank', 'export.base', 'export.own-base', 'export.no-magnitudes', 'convert.needs-base', 'resize.size', 'resize.needs-base', 'merge.files', 'merge.strength', 'merge.needs-base', 'merge.needs-rank',
  'picture.sampler', 'files.is-the-source', 'files.is-there',
];

/** The exit code for the code of an error: what the user wrote, or what went wrong with it. */
export function exitCodeOf(error: string): ExitCode {
  if (error.endsWith('.stopped')) return exitCodes.interrupted;
  return error.startsWith('job.') || USAGE.includes(error) ? exitCodes.usage : exitCodes.failed;
}
