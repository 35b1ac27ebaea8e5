// The languages of the window. Each is an object of one type, so that a key that is missing in one of them is an error of the compiler.
import { compare } from './en/compare.ts';
import { data } from './en/data.ts';
import { exporting } from './en/export.ts';
import { home } from './en/home.ts';
import { library } from './en/library.ts';
import { parts } from './en/parts.ts';
import { settings } from './en/settings.ts';
import { train } from './en/train.ts';
import { common } from './en/common.ts';
import { said } from './en/said.ts';
import type { Sentences } from '../sentences.ts';

const english = { ...common, home, data, train, compare, exporting, library, settings, parts } as const;

type Texts<T> = {
  readonly [Key in keyof T]: T[Key] extends string ? string
    : T[Key] extends (...given: infer Given) => string ? (...given: Given) => string
    : T[Key] extends readonly string[] ? readonly string[]
    : Texts<T[Key]>;
};
export type Messages = Texts<typeof english>;

/** `sentences` are what the app says, by code; English has those that the app says with names of the command line. */
export interface Language { readonly name: string; readonly texts: Messages; readonly sentences?: Sentences }

export const languages: Readonly<Record<string, Language>> = { en: { name: 'English', texts: english, sentences: said } };
