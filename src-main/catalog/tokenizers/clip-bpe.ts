// CLIP's tokenizer: byte-level BPE on lower-case words, between a start and an end token (Radford et al. 2021, section 2.4).
import { Tokenizer } from '@huggingface/tokenizers';
import { UserError } from '../../base/errors.ts';

export const START_TOKEN = '<|startoftext|>';
export const END_TOKEN = '<|endoftext|>';
export const END_OF_WORD = '</w>';
const PIECE = "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";
const WHOLE_PIECE = new RegExp(`^(${PIECE})$`, 'u');

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
  return {
    length,
    encode: (text) => {
      const words = tokenizer.encode(text, { add_special_tokens: false }).ids;
      const ids = [start, ...words.slice(0, length - 2), end];
      const padded = [...ids, ...new Array<number>(length - ids.length).fill(padding)];
      return { ids: padded, end: padded.indexOf(end), tokens: words.length };
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
