import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { jobMarkdown } from '../../tools/docs/job-table.ts';

test('docs/jobs.md is what the schema says; npm run tool job-docs writes it', () => {
  expect(readFileSync('docs/jobs.md', 'utf8')).toBe(jobMarkdown());
});
