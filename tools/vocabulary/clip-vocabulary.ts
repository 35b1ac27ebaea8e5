// Makes a small vocabulary of CLIP's kind, for models that are trained from scratch on few words.
import { assert } from '../../src-main/base/errors.ts';
import { byteAlphabet, toByteCharacters } from './byte-alphabet.ts';
import { END_OF_WORD, END_TOKEN, isSinglePiece, START_TOKEN } from '../../src-main/catalog/tokenizers/clip-bpe.ts';

export interface ClipVocabulary {
  /** Contents of vocab.json: token -> id. The end token has the highest id, as in CLIP. */
  readonly vocab: Readonly<Record<string, number>>;
  /** Contents of merges.txt. */
  readonly merges: string;
}

/**
 * A vocabulary in which each of `words` is one token. Any other text is still spelled out, by all 256 bytes.
 * Words are what CLIP takes for one: letters only, one digit, or a run of other signs; case does not matter.
 */
export function buildClipVocabulary(words: readonly string[]): ClipVocabulary {
  const merges = new Map<string, number>();
  for (const word of words) {
    const text = word.normalize('NFC').toLowerCase();
    assert(isSinglePiece(text), `"${word}" is not one word for CLIP`);
    // What is added comes last and therefore acts last: words that were one token before stay so.
    for (let tokens = spell(text, merges); tokens.length > 1; tokens = spell(text, merges)) {
      merges.set(`${tokens[0]} ${tokens[1]}`, merges.size);
    }
  }
  const merged = new Set([...merges.keys()].map((pair) => pair.replace(' ', '')));
  const tokens = [...byteAlphabet, ...byteAlphabet.map((c) => c + END_OF_WORD), ...merged, START_TOKEN, END_TOKEN];
  return {
    vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    merges: `${['#version: 0.2', ...merges.keys()].join('\n')}\n`,
  };
}

/** Byte pair encoding of one word: the known pair of lowest rank is joined, everywhere, until none is left. */
function spell(word: string, ranks: ReadonlyMap<string, number>): string[] {
  let tokens = toByteCharacters(word);
  tokens[tokens.length - 1] += END_OF_WORD;
  for (;;) {
    let best: { rank: number; left: string; right: string } | undefined;
    for (let i = 0; i + 1 < tokens.length; i++) {
      const [left, right] = [tokens[i]!, tokens[i + 1]!];
      const rank = ranks.get(`${left} ${right}`);
      if (rank !== undefined && (!best || rank < best.rank)) best = { rank, left, right };
    }
    if (!best) return tokens;
    tokens = join(tokens, best.left, best.right);
  }
}

function join(tokens: readonly string[], left: string, right: string): string[] {
  const joined: string[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const isPair = tokens[i] === left && tokens[i + 1] === right;
    joined.push(isPair ? left + right : tokens[i]!);
    if (isPair) i++;
  }
  return joined;
}
