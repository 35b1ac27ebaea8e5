// Writes docs/jobs.md from the schema of jobs: npm run tool job-docs
import { writeFileAtomic } from '../src-main/files/atomic-write.ts';
import { jobMarkdown } from './docs/job-table.ts';

await writeFileAtomic('docs/jobs.md', jobMarkdown());
