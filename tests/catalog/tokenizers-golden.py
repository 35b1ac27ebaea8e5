"""Records what the transformers tokenizer makes of texts with a small vocabulary: tokenizers-golden.json.

Arguments: a folder with the vocab.json and merges.txt that buildClipVocabulary gives for WORDS of the test.
"""

import json
import pathlib
import sys

import transformers
from transformers import CLIPTokenizerFast

TEXTS = [
    "a red house by the blue lake at night",
    "A RED  House,\tby the\nBLUE lake!!",
    "cat bat abat cab bathe bababa",
    "cats and dogs",
    "it's the cat's house, they'll say; he'd we've I'm you're don't",
    "24 cats, 3.5x zoom",
    "caf\u00e9 CAFE\u0301 na\u00efve \u00dcber",
    "\u732b and \U0001f431\U0001f3fd \u2014 \u201cquoted\u201d",
    "",
    "   ",
    "a <|endoftext|> b",
    "<|startoftext|>a cat<|endoftext|>",
    "under_score semi-detached e.g. #1 (red:1.2)",
    " ".join(["a red house by the blue lake at night"] * 12),
    "unknownwords everywhere\u00a0here",
]

folder = pathlib.Path(sys.argv[1])
tokenizer = CLIPTokenizerFast.from_pretrained(folder)
cases = [{"text": text, "ids": tokenizer(text, max_length=77, truncation=True).input_ids} for text in TEXTS]
out = pathlib.Path(__file__).with_suffix(".json")
lines = ",\n".join("  " + json.dumps(case) for case in cases)
out.write_text('{"transformers": "%s", "cases": [\n%s\n]}\n' % (transformers.__version__, lines))
