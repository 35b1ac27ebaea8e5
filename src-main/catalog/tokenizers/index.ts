// The kinds of tokenizer, by the name of the method.
import { createClipTokenizer, publishedClipFiles, type ClipTokenizer, type ClipTokenizerFiles } from './clip-bpe.ts';

export const tokenizers: Readonly<Record<string, (files: ClipTokenizerFiles, length: number) => ClipTokenizer>> = { 'clip-bpe': createClipTokenizer };

/** Files of the tokenizer that published models of the kind share, by kind. @param padding id of the token that fills up a prompt */
export const publishedFiles: Readonly<Record<string, (padding: number) => ClipTokenizerFiles>> = { 'clip-bpe': publishedClipFiles };
