"""Makes tests/data/tokenizer/: a small tokenizer of Qwen2.5's form, and what Hugging Face does with it.

  small/tokenizer.json          merges as pairs; added tokens of every kind
  small-strings/tokenizer.json  the same, merges as strings, no normalizer
  small-files/                  vocab.json, merges.txt, tokenizer_config.json, added_tokens.json
  texts.jsonl                   text -> ids, ids with special tokens as text, decoded both ways, and
                                the bytes of each pre-token of the text as it stands

pip install tokenizers==0.23.3;  seed 20250101.
"""
import json
import os
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers import processors, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "../data/tokenizer")
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
           "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]
SENTENCES = [
    "Task:\nGiven the input medical image: ", "Task:\n", "Task:\nGiven", "user\n", "assistant\n", "\n\n",
    "return the coordinates of the lower-left and upper-right corner of the bounding box for the ",
    "return the coordinates of the lower-left and upper-right", "Format requirement:\n", "0.", "), (0.",
    "<think>\n", "\n</think>\n<answer>", "im_", "你好，", "ß", "caf\u00e9", "a\u0300b", "|>user",
]
KINDS = [
    AddedToken("cafe\u0301 cre\u0300me", normalized=True, special=False),
    AddedToken("\u212bngstr\u00f6m", normalized=True, special=False),
    AddedToken("[LEFT]", normalized=False, lstrip=True, special=False),
    AddedToken("[RIGHT]", normalized=False, rstrip=True, special=False),
    AddedToken("[BOTH]", normalized=True, lstrip=True, rstrip=True, special=False),
    AddedToken("word", normalized=False, single_word=True, special=False),
    AddedToken("<|ctl|>", normalized=True, special=True),
    AddedToken("   ", normalized=False, special=False),
]
CORPUS = """The image shows a lesion in the left kidney. The major axis is 24.130 mm and the minor axis is
11.070 mm. Détection d'une tumeur du foie; c'est l'image d'un scanner. Die Länge beträgt drei Zentimeter.
Ω ω α β γ δ. Привет, мир. 图像显示左肾病变。これは画像です。한국어 텍스트. I'm sure they'll say it's what we've
done; she'd don't. <answer>(0.412, 0.577)</answer> <think> 1. First, 2. second. </think>\n\n  def f(x):\n
    return x ** 2\n""" * 3


def build():
    tok = Tokenizer(models.BPE())
    tok.normalizer = normalizers.NFC()
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    tok.post_processor = processors.ByteLevel(trim_offsets=False)
    tok.train_from_iterator(CORPUS.splitlines(True), trainers.BpeTrainer(
        vocab_size=700, min_frequency=1, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    tok.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in SPECIAL])
    tok.add_tokens([AddedToken(t, normalized=False, special=False) for t in SENTENCES] + KINDS)
    return tok


def write(folder, name, text):
    os.makedirs(os.path.join(DATA, folder), exist_ok=True)
    with open(os.path.join(DATA, folder, name), "w", encoding="utf-8", newline="\n") as f:
        f.write(text)


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def write_tokenizers(tok):
    spec = json.loads(tok.to_str())
    model = spec["model"]
    pairs = [m if isinstance(m, list) else m.split(" ") for m in model["merges"]]
    write("small", "tokenizer.json", compact({**spec, "model": {**model, "merges": pairs}}))
    lines = [" ".join(p) for p in pairs]
    plain = {**spec, "normalizer": None, "model": {**model, "merges": lines}}
    write("small-strings", "tokenizer.json", compact(plain))
    write("small-files", "vocab.json", compact(model["vocab"]))
    write("small-files", "merges.txt", "#version: 0.2\n" + "\n".join(lines) + "\n")
    added = {str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in spec["added_tokens"]}
    write("small-files", "tokenizer_config.json", compact({"added_tokens_decoder": added}))
    write("small-files", "added_tokens.json", compact({t["content"]: t["id"] for t in spec["added_tokens"]}))


HANDMADE = [
    "", " ", "  ", "\n", "\r\n", " \n", "\n ", " \n \n x", "a  b", "a   b", "a \t b", "a\n\nb", "a\r\rb", "  \n\n  ",
    "x  ", "x \n", "a\x0bb\x0c\x0c c", "x\x0c \x0c y", "\x1c\x1dx", "\x08\x0ex\x7fy", "'\u017fx '\u017e", "\U0001f600\n\n", "\u0661\u0662", "a\u0301b",  "\u00a0\u2003x", "\u3000x", "\u200bx", "\ufeffx", "\u0085a", "a\u2028b", "\u180ex", "\x00", "a\x00b",
    "it's IT'S it'S I'M i'm we'VE We'll 'LLama 'd'D don't'd", "'\u017ftop '\u017f '\u212a 're'Re 'rE're", "''s '' 'sx",
    "x'sy 'tis 've", "'r 'v 'l 're\u0301", "12345", "1a2b", "\u00bd\u2163\u0663\u2460", "3.14\n\n", "...\n\n\nx", "?!\r\n\r\ny",
    " ...\n", "  ...", " \u0301x", "e\u0301", "e\u0323\u0301", "e\u0301\u0323", "\u1e69 s\u0323\u0307 s\u0307\u0323",
    "\u212b \u2126 \u2460 \ufb01", "\u1100\u1161\u11a8", "\uac00\u11a8", "\u0958", "\u0344", "\u1f82", "\u0390",
    "\U0001d15e", "\u0f73\u0f75", "\u0cc6\u0cc2\u0cd5", "a\u07fd\u0334", "a\u0345\u0898", "a\u0899\u0334\u0301",
    "\U000105d2\u0307", "\U0001611e\U0001611f", "\U00016d67\U00016d67", "\U0001e08f\u0301", "\U00010d69\u0334",
    "\U0001ccd6\u00bd", "\U00010940\U000105c0", "\u1c89\ua7cb\ua7da", "\U0001f1e9\U0001f1ea\U0001f468\u200d\U0001f469\U0001f3fd",
    "\u0e19\u0e49\u0e33 \u0e01\u0e33", "\u0928\u092e\u0938\u094d\u0924\u0947", "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd",
    "<|im_start|>user\nhi<|im_end|>\n", "<|im_start|", "<|im_start|><|im_start|>", " <|image_pad|> ", "<|<|im_end|>|>",
    "Task:\nGiven the input medical image: x", "Task:\nGiven the input medical imagery", "Task:\nGive", "Task:\r\n",
    "return the coordinates of the lower-left and upper-right corner", "00.0.", "a\u0300ba\u0300b \u00e0b", "\u00dfa\u00df",
    "caf\u00e9 cafe\u0301", "cafe\u0301 cre\u0300me", "caf\u00e9 cr\u00e8me", "caf\u00e9 cre\u0300me", "\u212bngstr\u00f6m",
    "\u00c5ngstr\u00f6m A\u030angstro\u0308m", "a [LEFT] b", "a   [LEFT]b", "\n\n\u3000[LEFT]", "[LEFT][LEFT]", "   [LEFT]   ",
    "a [RIGHT] b", "[RIGHT]   b", "[RIGHT] \n [LEFT] x", "[RIGHT]    ", "x   [RIGHT]      y", " [BOTH] ", "a[BOTH]b",
    " [BOTH]  [BOTH] ", "[RIGHT]  [BOTH]", "word", "words", "sword", "a word.", "word_", "_word", "word\u0301", "\u4e2dword",
    "1word", "word1", "-word-", "word word", "wordword", "\u200dword", "\u24d0word", "<|ctl|>", "a <|ctl|>b", "<|ctl|", "im_",
    "<|im_im_", "|>user\n", "<|im_start|>user\n", "<think>\n1\n</think>\n<answer>(0.1, 0.2), (0.3, 0.4)</answer>",
    "=>\u0338 >\u0338<|im_end|>\u0338", "<|im_end|>\u0301a", "user\n\u0301", "\u4f60\u597d\uff0c\u4f60\u597d",
    "lesion " * 40, "a" * 300, "ab" * 200, " " * 100 + "x", "\n" * 50, "e" + "\u0301\u0323" * 40, "\u0323\u0301\u0315" * 30,
]
PIECES = ([c for c in "abcXYZ018 .,;:'\"<>|()[]/\\-_\t\n\r"] + [" ", "  ", "   ", "\n\n", "\r\n", "'s", "'RE", "'\u017f", "\u017f"]
          + SPECIAL + SENTENCES + [t.content for t in KINDS] + ["The", " image", " lesion", "24.130", " mm", "図像", "左肾"]
          + [chr(c) for c in (0xA0, 0x85, 0x2003, 0x3000, 0x200B, 0x301, 0x323, 0x338, 0x345, 0x5D0, 0x5B8, 0x660, 0x2163, 0xBD,
                              0x1E9E, 0x130, 0x4E2D, 0xAC00, 0x1100, 0x1161, 0x11A8, 0x1F600, 0x1F3FD, 0x10FFFF, 0xFFFD, 0x899)])


def texts():
    rng = random.Random(20250101)
    yield from HANDMADE
    for k in range(170):
        yield "".join(rng.choice(PIECES) for _ in range(rng.randrange(1, 25)))


def row(tok, text):
    tok.encode_special_tokens = False
    ids = tok.encode(text).ids
    tok.encode_special_tokens = True
    plain = tok.encode(text).ids
    return {"text": text, "ids": ids, "plain_ids": plain,
            "decoded": tok.decode(ids, skip_special_tokens=False),
            "decoded_skip": tok.decode(ids, skip_special_tokens=True)}


def split(tok, text):
    pieces = tok.pre_tokenizer.pre_tokenize_str(text)
    return [len(text[begin:end].encode()) for _, (begin, end) in pieces]


def main():
    write_tokenizers(build())
    tok = Tokenizer.from_file(os.path.join(DATA, "small/tokenizer.json"))
    raw = Tokenizer.from_file(os.path.join(DATA, "small-strings/tokenizer.json"))
    rows = [{**row(tok, t), "raw_ids": raw.encode(t).ids, "split": split(tok, t)} for t in texts()]
    write(".", "texts.jsonl", "".join(json.dumps(r, separators=(",", ":")) + "\n" for r in rows))
    print(tok.get_vocab_size(), "tokens,", len(rows), "texts")


if __name__ == "__main__":
    main()
