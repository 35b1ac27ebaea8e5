// What a person reads in the window lies in src-renderer/messages, so that a second language is a second object. Components are
// read as Svelte reads them: text between tags, attributes that are shown or spoken, and sentences in expressions.
import { parse } from 'svelte/compiler';
import { describe, expect, test } from 'vitest';

import { data } from '../../src-renderer/messages/en/data.ts';
import { languages } from '../../src-renderer/messages/languages.ts';
import { sourceFiles } from './source-files.ts';

const spoken = new Set(['label', 'title', 'text', 'description', 'placeholder', 'alt', 'aria-label', 'aria-valuetext', 'aria-description', 'low', 'high', 'summary', 'beforeLabel', 'afterLabel']);
const word = /\p{L}{2,}/u;
/** A sentence or a capitalised word; names of events, classes, keys and paths are neither. */
const sentence = /\p{L}{2,}[\p{L},:.!?…]* \p{L}|^\p{Lu}\p{Ll}+[.!?…]?$/u;

interface Node { readonly type: string; readonly start?: number; readonly [key: string]: unknown }
const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';

/** `line: text` of everything that looks like a text for people. */
function inlineTexts(source: string): string[] {
  const found: string[] = [];
  const tell = (node: Node, text: string): void => { found.push(`${source.slice(0, node.start ?? 0).split('\n').length}: ${text.trim().slice(0, 60)}`); };
  const visit = (value: unknown, attribute: string | null): void => {
    if (Array.isArray(value)) { for (const one of value) visit(one, attribute); return; }
    if (typeof value !== 'object' || value === null) return;
    if (!isNode(value)) { for (const inner of Object.values(value)) visit(inner, attribute); return; }
    const node = value;
    // Types are no texts, and keys of keyboards are named by the browser.
    if (/^TS|^ImportDeclaration$|^StyleSheet$|^Comment$/.test(node.type) || node.type.endsWith('Directive')) return;
    if (node.type === 'Attribute') return node['name'] === 'class' ? undefined : visit(node['value'], String(node['name']));
    if (node.type === 'Text') { if (word.test(String(node['data'])) && (attribute === null || spoken.has(attribute))) tell(node, String(node['data'])); return; }
    if (node.type === 'Literal' && typeof node['value'] === 'string') {
      const text = node['value'];
      if (attribute !== null && spoken.has(attribute) ? word.test(text) : /^[^0-9]/.test(text) && sentence.test(text)) tell(node, text);
      return;
    }
    if (node.type === 'TemplateLiteral') {
      const text = (node['quasis'] as { value: { cooked: string } }[]).map(({ value: { cooked } }) => cooked).join('0');
      if (/^[^0-9]/.test(text) && (sentence.test(text) || /(^| )\p{L}{2,} 0|0 \p{L}{2,}/u.test(text))) tell(node, text);
      return visit(node['expressions'], null);
    }
    // What a model is asked for is in the model's language.
    const name = node.type === 'Property' ? node['key'] : node.type === 'VariableDeclarator' ? node['id'] : null;
    if (isNode(name) && /prompt|^offSet$/i.test(String(name['name']))) return;
    if (node.type === 'MemberExpression') return visit(node['object'], attribute);
    // Calls with a key are no texts; comparisons neither.
    if (node.type === 'BinaryExpression' && /^[=!]==?$/.test(String(node['operator']))) return;
    for (const [key, inner] of Object.entries(node)) if (!['loc', 'start', 'end', 'metadata', 'parent'].includes(key)) visit(inner, node.type === 'CallExpression' ? null : attribute);
  };
  const tree = parse(source, { modern: true });
  visit([tree.fragment, tree.instance?.content ?? null], null);
  return found;
}

test('the rule sees text between tags, in attributes and in code', () => {
  const source = `<script lang="ts">const a = 'Two words'; const b: 'Never mind' = x; toast('bad', \`Was \${a} lost\`);</script>
<p class="grow cut" title={t.a}>Hello</p><img alt="A picture" src="x.png"><Button aria-label={on ? 'Close' : t.b} onclick={() => go('data')}>{t.c}</Button>`;
  expect(inlineTexts(source).map((text) => text.replace(/^\d+: /, ''))).toEqual(['Hello', 'A picture', 'Close', 'Two words', 'Was 0 lost']);
});

test.each(sourceFiles(['src-renderer'], /\.svelte$/).map(({ path, text }) => [path, text]))('%s has its texts in the messages', (_, text) => {
  expect(inlineTexts(text)).toEqual([]);
});

describe('languages', () => {
  /** Every key with what stands there. */
  const shape = (value: unknown, at = ''): string[] => (typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.entries(value).flatMap(([key, inner]) => shape(inner, `${at}.${key}`)) : [`${at}: ${Array.isArray(value) ? 'texts' : typeof value}`]);

  test('each has every text, and no text is empty', () => {
    for (const { texts } of Object.values(languages)) expect(shape(texts)).toEqual(shape(languages['en']!.texts));
    for (const { texts } of Object.values(languages)) expect(shape(texts).every((line) => /: (string|function|texts)$/.test(line))).toBe(true);
    expect(JSON.stringify(languages)).not.toContain('""');
  });

  test('numbers decide between one and many', () => {
    expect([data.batch.title(1), data.batch.title(3)]).toEqual(['Captions of 1 picture', 'Captions of 3 pictures']);
  });
});
