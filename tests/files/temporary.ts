import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect } from 'vitest';
import { UserError } from '../../src-main/base/errors.ts';

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A fresh folder that is removed after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'adora-test-'));
  folders.push(folder);
  return folder;
}

/** A folder for all tests of a file, removed after the last one. */
export function folderOfFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'adora-test-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs `work`, which must throw a UserError with this code, whose message is one clean line; returns the error. */
export function refusal(code: string, work: () => unknown): UserError {
  try {
    work();
  } catch (error) {
    return checkRefusal(code, error);
  }
  expect.fail(`${code} was expected`);
}

export async function refusalOf(code: string, work: () => Promise<unknown>): Promise<UserError> {
  let error: unknown;
  try {
    await work();
  } catch (caught) {
    error = caught;
  }
  if (error === undefined) expect.fail(`${code} was expected`);
  return checkRefusal(code, error);
}

function checkRefusal(code: string, error: unknown): UserError {
  if (!(error instanceof UserError)) throw error;
  expect(error.code, error.message).toBe(code);
  expect(error.message).toMatch(/^[^\n]+\.$/);
  return error;
}
