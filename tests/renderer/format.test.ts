// Dates and numbers follow the language of the window, and not that of the browser.
import { afterEach, expect, test, vi } from 'vitest';

afterEach(() => {
  vi.unstubAllGlobals();
  localStorage.clear();
});

/** The texts as a page has them whose browser prefers `languages`. */
async function formats(languages: readonly string[]): Promise<{ readonly date: string; readonly count: string }> {
  vi.resetModules();
  vi.stubGlobal('navigator', { ...navigator, languages });
  const { compact, day } = await import('../../src-renderer/state/format.ts');
  return { date: day(new Date(2026, 10, 27, 15, 5).getTime()), count: compact(1_234_567) };
}

test('a German browser shows an English window in English', async () => {
  expect(await formats(['de-DE', 'de'])).toEqual({ date: expect.stringMatching(/^Nov 27, 2026, 3:05\sPM$/) as string, count: '1.2M' });
});

test('the way that the language is written where the reader lives is kept', async () => {
  expect(await formats(['de-DE', 'en-GB', 'en-US'])).toEqual({ date: '27 Nov 2026, 15:05', count: '1.2m' });
});
