// The keys of a job as Markdown, from the same schema that checks job files.
import { catalogFields } from '../../src-main/catalog/index.ts';
import { fieldJsonSchema } from '../../src-main/contract/fields.ts';
import { choiceSections, type ChoiceSection } from '../../src-main/contract/job.ts';
import { jobJsonSchema } from '../../src-main/contract/parse-job.ts';

interface Node {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly anyOf?: readonly Node[];
  readonly items?: Node;
  readonly properties?: Readonly<Record<string, Node>>;
}

const HEAD = `# Keys of a job

A job is one TOML or JSON file. Only \`version\`, \`base.model\` and \`data.folders\` are required; everything else has a
default. Unknown keys are errors. Paths are meant from the job file. This page is made from the schema that checks jobs
(\`npm run tool job-docs\`); \`npm run adora -- schema job\` prints that schema itself.
`;

/** docs/jobs.md */
export function jobMarkdown(): string {
  const schema = jobJsonSchema(catalogFields()) as Node;
  const sections = Object.entries(schema.properties ?? {});
  const top = sections.filter(([, node]) => !node.properties);
  const catalog = (Object.keys(choiceSections) as ChoiceSection[]).flatMap((section) => Object.entries(catalogFields()[section]).map(([kind, fields]) => [section, kind, fields] as const));
  const parts = [
    HEAD,
    table(top.map(([key, node]) => row(key, node))),
    ...sections.filter(([, node]) => node.properties).map(([key, node]) => `\n## \`[${key}]\`\n\n${table(rowsOf('', node))}`),
    ...catalog.filter(([, , fields]) => Object.keys(fields).length > 0).map(([section, kind, fields]) =>
      `\n### \`${section}.kind = "${kind}"\` also has\n\n${table(Object.entries(fields).map(([key, field]) => row(key, fieldJsonSchema(field) as Node)))}`),
  ];
  return `${parts.join('\n')}\n`;
}

function rowsOf(prefix: string, node: Node): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) => (child.properties ? rowsOf(`${prefix}${key}.`, child) : [row(`${prefix}${key}`, child)]));
}

const table = (rows: readonly string[]): string => ['| key | values | default | meaning |', '|---|---|---|---|', ...rows].join('\n');

function row(key: string, node: Node): string {
  const standard = node.default === undefined || typeof node.default === 'object' ? '' : `\`${JSON.stringify(node.default)}\``;
  return `| \`${key}\` | ${valuesOf(node)} | ${standard} | ${(node.description ?? '').replaceAll('|', '\\|')} |`;
}

function valuesOf(node: Node): string {
  if (node.const !== undefined) return `\`${JSON.stringify(node.const)}\``;
  if (node.enum) return node.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (node.anyOf) return node.anyOf.map(valuesOf).join(' or ');
  if (node.type === 'array') return `list of ${node.items ? valuesOf(node.items) : 'values'}`;
  if (node.type === 'object') return Object.keys(node.properties ?? {}).map((key) => `\`${key}\``).join(', ');
  const range = [node.minimum, node.maximum].map((value) => (value === undefined || Math.abs(value) > 1e15 ? '' : String(value)));
  return range.some(Boolean) ? `${node.type} ${range[0]} … ${range[1]}`.trim() : (node.type ?? '');
}
