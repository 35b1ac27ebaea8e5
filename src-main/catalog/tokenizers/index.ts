// The kinds of tokenizer, by the name of the method.
import { createClipTokenizer, type ClipTokenizer, type ClipTokenizerFiles } from './clip-bpe.ts';

export const tokenizers: Readonly<Record<string, (files: ClipTokenizerFiles, length: number) => ClipTokenizer>> = { 'clip-bpe': createClipTokenizer };
