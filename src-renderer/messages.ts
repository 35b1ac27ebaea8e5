// The texts of the window in the language that was chosen. It must be known before the first paint, so it is kept in the browser too;
// a change takes effect when the page is loaded again.
import { languages, type Language, type Messages } from './messages/languages.ts';
import type { Sentences } from './sentences.ts';

const key = 'adora.locale';

export type { Messages };

/** 'de-AT' falls back to 'de', everything unknown to English. */
function languageFor(locale: string | null): [tag: string, language: Language] {
  for (const tag of [locale ?? '', (locale ?? '').split('-')[0] ?? '', 'en']) {
    const found = languages[tag];
    if (found !== undefined) return [tag, found];
  }
  throw new Error('Internal error: English is missing');
}

const [tag, language] = languageFor(localStorage.getItem(key));
// Screen readers speak the page in it.
document.documentElement.lang = tag;
/** What numbers and dates are written by: the language, as it is used where the reader lives. */
export const locale: string = navigator.languages.find((known) => known.split('-')[0] === tag.split('-')[0]) ?? tag;
export const t: Messages = language.texts;
/** What the app says; undefined: as the app says it. */
export const sentences: Sentences | undefined = language.sentences;

/** Keeps the choice; true when the page shows another language now than it would after loading again. */
export function rememberLocale(locale: string): boolean {
  const [before] = languageFor(localStorage.getItem(key));
  localStorage.setItem(key, locale);
  return languageFor(locale)[0] !== before;
}
