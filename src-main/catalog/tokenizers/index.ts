// The kinds of tokenizer, by the name of the method.
import { createClipTokenizer } from './clip-bpe.ts';

export const tokenizers = { 'clip-bpe': createClipTokenizer };
