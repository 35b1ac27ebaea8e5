/** Exit codes of `adora`. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Errors of what was typed besides those of jobs: names of runs and devices. */
const USAGE: readonly string[] = ['run.missing', 'run.not-empty', 'run.not-a-folder', 'run.bad-job', 'device.unknown', 'bench.unknown'];

/** The exit code for the code of an error: what the user wrote, or what went wrong with it. */
export function exitCodeOf(error: string): ExitCode {
  if (error.endsWith('.stopped')) return exitCodes.interrupted;
  return error.startsWith('job.') || USAGE.includes(error) ? exitCodes.usage : exitCodes.failed;
}
