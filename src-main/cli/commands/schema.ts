// adora schema job: the JSON Schema of job files.

import { Argument, type Command } from 'commander';

import { jobJsonSchema, type CatalogFields } from '../../contract/parse-job.ts';
import { exitCodes } from '../exit-codes.ts';
import type { RunInSession } from '../run-cli.ts';

export function addSchema(
  program: Command, inSession: RunInSession, catalogFields: () => Promise<CatalogFields>, write: (text: string) => void,
): void {
  program.command('schema')
    .description('print the JSON Schema of a file format')
    .addArgument(new Argument('<format>', 'what to describe').choices(['job']))
    .action(async () => {
      await inSession(false, async () => {
        write(`${JSON.stringify(jobJsonSchema(await catalogFields()), null, 2)}\n`);
        return exitCodes.ok;
      });
    });
}
