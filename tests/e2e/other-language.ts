// A made-up language for tests: everything said stands in brackets, so that what is left outside of them is not translated.
import type { Plugin } from 'vite';

/** Runs in the page. */
const MODULE = `
const marked = (value) => typeof value === 'string' ? '⟦' + value + '⟧'
  : typeof value === 'function' ? (...given) => { const said = value(...given); return typeof said === 'string' ? '⟦' + said + '⟧' : said; }
  : Array.isArray(value) ? value.map(marked)
  : Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, marked(inner)]));
const everyCode = new Proxy({}, {
  getOwnPropertyDescriptor: (_, code) => ({ configurable: true, enumerable: true, value: '⟦' + code + '⟧' }),
  get: (_, code) => '⟦' + String(code) + '⟧',
});
languages.xx = { name: 'Xx', texts: marked(english), sentences: everyCode };
`;

export const otherLanguage: Plugin = {
  name: 'other-language', enforce: 'post',
  transform: (code, id) => (id.endsWith('/messages/languages.ts') ? { code: code + MODULE, map: null } : null),
};

/** Runs in the page: what can be read or is spoken, without what stands in brackets. */
export function leftovers(): string[] {
  const bare = (text: string): string => {
    let depth = 0;
    return [...text].filter((letter) => {
      if (letter === '⟦') depth++;
      if (letter === '⟧') depth--;
      return depth === 0 && letter !== '⟧';
    }).join('').trim();
  };
  const found: string[] = [];
  for (const element of [document.documentElement, ...document.querySelectorAll('*')]) {
    if (element.closest('script, style, svg.lucide, template') !== null) continue;
    for (const name of ['aria-label', 'title', 'placeholder', 'alt', 'aria-valuetext', 'aria-description', 'label']) found.push(bare(element.getAttribute(name) ?? ''));
    for (const node of element.childNodes) if (node.nodeType === 3) found.push(bare(node.textContent ?? ''));
  }
  return [...new Set(found)].filter((text) => /\p{L}{2}/u.test(text));
}
