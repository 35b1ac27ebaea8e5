// What is wrong in a job or in settings, each with the place.

import { say, type Text } from './text.ts';

export interface JobIssue extends Text {
  /** Key path, as train.steps; empty where no single key is meant. */
  readonly path: string;
}

export const issueAt = (path: string, { code, data, text }: Text): JobIssue => ({ path, code, data, text });

/** An issue in the order in which one writes it. The code is `job.<name>`. */
export const issue = (path: string, name: string, text: string, data: Record<string, unknown> = {}): JobIssue => issueAt(path, say(`job.${name}`, text, data));

/** `path: what is wrong, what to do`, as the command line prints it. */
export const issueLine = ({ path, text }: JobIssue): string => (path === '' ? text : `${path}: ${text}`);
