// What the app says in the window names nothing of the command line: a sentence with an option or a command in it that a window can
// hear has a code, and the window's English says it by that code with its own names.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

import ts from 'typescript';
import { expect, test } from 'vitest';

import { said } from '../../src-renderer/messages/en/said.ts';
import { languages } from '../../src-renderer/messages/languages.ts';
import { root, sourceFiles, type SourceFile } from './source-files.ts';

/** Where the window's calls are answered, and the trainers that work for it. */
const ENTRIES = ['src-main/main.ts', 'src-main/app/studio.ts', 'src-main/app/rpc.ts', 'src-main/trainer/commands.ts'];
const OPTION = /(?:^|[\s"'(])--[a-z]|\badora [a-z]+/;

/** What the entries import, types left out. */
function heardInWindow(files: ReadonlyMap<string, string>): SourceFile[] {
  const seen = new Map<string, string>();
  const visit = (path: string): void => {
    const text = files.get(path);
    if (text === undefined || seen.has(path)) return;
    seen.set(path, text);
    for (const [, type, from, lazy] of text.matchAll(/(?:^|\n)(?:import|export)\s(type\s)?[^;'"]*?from '(\.[^']+)'|import\('(\.[^']+)'\)/g)) {
      if (type === undefined) visit(join(dirname(path), from ?? lazy ?? ''));
    }
  };
  for (const entry of ENTRIES) visit(entry);
  return [...seen].map(([path, text]) => ({ path, text }));
}

const wordsOf = (node: ts.Node): string | null =>
  (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node) ? node.text
    : ts.isTemplateExpression(node) ? [node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)].join('0') : null);

const literal = (node: ts.Node | undefined): string | null => (node && ts.isStringLiteral(node) ? node.text : null);

/** The code that a call or an object gives to the sentence in it. */
function codeOf(node: ts.Node): string | null {
  if (ts.isNewExpression(node) && node.expression.getText() === 'UserError') return literal(node.arguments?.[0]);
  if (ts.isCallExpression(node) && node.expression.getText() === 'say') return literal(node.arguments[0]);
  if (ts.isCallExpression(node) && node.expression.getText() === 'issue') return `job.${literal(node.arguments[1])}`;
  if (!ts.isObjectLiteralExpression(node)) return null;
  const given = (key: string): string | null => literal(node.properties.filter(ts.isPropertyAssignment).find(({ name }) => name.getText() === key)?.initializer);
  if (given('kind') === 'verdict') return ['verdict', given('name'), given('about'), 'fails'].filter((part) => part !== null).join('.');
  return given('code');
}

/** The identifier stands for a value: it is no key, and no type. */
const isUse = (node: ts.Identifier, { parent } = node): boolean =>
  !(ts.isPropertyAssignment(parent) && parent.name === node) && !(ts.isPropertyAccessExpression(parent) && parent.name === node) && !ts.isTypeNode(parent) && !ts.isPropertySignature(parent) && !ts.isBindingElement(parent);

/** Codes of the sentence that `node` is in, or that what it is the value of is in: a constant or a function of the same file. */
function codesOf(node: ts.Node, seen: readonly ts.Node[] = []): string[] {
  for (let at = node; !ts.isSourceFile(at); at = at.parent) {
    const code = codeOf(at);
    if (code !== null) return [code];
    if (!ts.isVariableDeclaration(at) && !ts.isFunctionDeclaration(at)) continue;
    if (!at.name || !ts.isIdentifier(at.name) || seen.includes(at)) return [];
    const within = [...seen, at];
    const { name } = at;
    const scope = ts.findAncestor(at.parent, (outer) => ts.isBlock(outer) || ts.isSourceFile(outer))!;
    const found: string[] = [];
    const visit = (other: ts.Node): void => {
      if (ts.isIdentifier(other) && other.text === name.text && other !== name && isUse(other)) found.push(...codesOf(other, within));
      ts.forEachChild(other, visit);
    };
    visit(scope);
    return found;
  }
  return [];
}

/** Each sentence with a name of the command line: where, and its codes. */
function sentencesOf({ path, text }: SourceFile): { readonly at: string; readonly codes: readonly string[] }[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found: { at: string; codes: string[] }[] = [];
  const visit = (node: ts.Node): void => {
    const words = wordsOf(node);
    if (words !== null && /\s/.test(words) && OPTION.test(words)) found.push({ at: `${path}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}: ${words.slice(0, 60)}`, codes: codesOf(node) });
    else ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

test('the rule finds the codes of sentences, of constants and of functions', () => {
  const of = (text: string): unknown => sentencesOf({ path: 'a.ts', text }).map(({ codes }) => codes);
  expect(of("throw new UserError('a.b', `Use --as ${x}.`);")).toEqual([['a.b']]);
  expect(of("const bad = 'Use --as x.';\nemit({ kind: 'warning', code: 'a.c', text: `No: ${bad}` });")).toEqual([['a.c']]);
  expect(of("function why(): string { return 'Run adora doctor.'; }\nemit({ kind: 'verdict', name: 'd', ok, text: why() });")).toEqual([['verdict.d.fails']]);
  expect(of("const text = 'Use --as x.'; print(text); spawn('node', ['--json']); const f = `--js-flags=${x}`;")).toEqual([[]]);
  expect(existsSync(join(root, ENTRIES[0]!))).toBe(true);
});

test('each sentence that a window can hear is said there without names of the command line', () => {
  const files = new Map(sourceFiles(['src-main']).map(({ path, text }) => [path, text]));
  const heard = heardInWindow(files).flatMap(sentencesOf);
  expect(heard.length).toBeGreaterThan(20);
  expect(heard.filter(({ codes }) => codes.length === 0 || codes.some((code) => !Object.hasOwn(said, code)))).toEqual([]);
  expect(Object.keys(said).filter((code) => !heard.some(({ codes }) => codes.includes(code)))).toEqual([]);
});

test('what those sentences tell comes along with them', () => {
  /** Keys of the data that a code is given, wherever that is; null where they are not written there. */
  const given = new Map<string, Set<string> | null>();
  const add = (code: string, data: ts.Node | undefined): void => {
    const keys = data && ts.isObjectLiteralExpression(data) ? data.properties.map((property) => property.name?.getText() ?? '') : data === undefined ? [] : null;
    const before = given.get(code);
    given.set(code, keys === null || before === null ? null : new Set([...before ?? [], ...keys]));
  };
  for (const { path, text } of sourceFiles(['src-main'])) {
    const visit = (node: ts.Node): void => {
      const code = codeOf(node);
      if (code !== null && (ts.isNewExpression(node) || ts.isCallExpression(node))) add(code, node.arguments?.[2]);
      else if (code !== null && ts.isObjectLiteralExpression(node)) {
        const data = node.properties.find(({ name }) => name?.getText() === 'data');
        add(code, data && ts.isPropertyAssignment(data) ? data.initializer : data);
      }
      ts.forEachChild(node, visit);
    };
    visit(ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true));
  }
  const missing = Object.entries(said).flatMap(([code, sentence]) => {
    const wanted = typeof sentence === 'function' ? /^\(?\{([^}]*)\}/.exec(String(sentence))?.[1]?.split(',').map((name) => name.trim()).filter(Boolean) ?? [] : [];
    const keys = given.get(code);
    return keys === null ? [] : wanted.filter((name) => keys?.has(name) !== true).map((name) => `${code}: ${name}`);
  });
  expect(missing).toEqual([]);
  expect([...given].filter(([code, keys]) => Object.hasOwn(said, code) && keys !== null).length).toBeGreaterThan(15);
});

test('the window itself names neither options nor commands, but for how it was opened', () => {
  const named: string[] = [];
  const visit = (value: unknown, at: string): void => {
    if (typeof value === 'object' && value !== null) { for (const [key, inner] of Object.entries(value)) visit(inner, `${at}.${key}`); return; }
    if (OPTION.test(String(value))) named.push(at);
  };
  for (const [tag, { texts, sentences }] of Object.entries(languages)) visit({ texts, sentences }, tag);
  expect(named).toEqual(['en.texts.connection.refused']);
});
