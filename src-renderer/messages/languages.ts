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

const english = { ...common, home, data, train, compare, exporting, library, settings, parts } as const;

type Texts<T> = {
  readonly [Key in keyof T]: T[Key] extends string ? string
    : T[Key] extends (...given: infer Given) => string ? (...given: Given) => string
    : T[Key] extends readonly string[] ? readonly string[]
    : Texts<T[Key]>;
};
export type Messages = Texts<typeof english>;

export const languages: Readonly<Record<string, { readonly name: string; readonly texts: Messages }>> = { en: { name: 'English', texts: english } };
