// The texts of the window in the language that was chosen. It must be known before the first paint, so it is kept in the browser too;
// a change takes effect when the page is loaded again.
import { languages, type Messages } from './messages/languages.ts';

const key = 'adora.locale';

export type { Messages };

/** 'de-AT' falls back to 'de', everything unknown to English. */
export function textsFor(locale: string | null): Messages {
  const found = languages[locale ?? ''] ?? languages[(locale ?? '').split('-')[0] ?? ''] ?? languages['en'];
  if (found === undefined) throw new Error('Internal error: English is missing');
  return found.texts;
}

export const t: Messages = textsFor(localStorage.getItem(key));

/** Keeps the choice; true when the page shows another language now than it would after loading again. */
export function rememberLocale(locale: string): boolean {
  const before = textsFor(localStorage.getItem(key));
  localStorage.setItem(key, locale);
  return textsFor(locale) !== before;
}
