"""Writes tokenizer/unicode_classes.inc: what the reference tokenizer's regexes say of every code point.

Measured on the library itself (tokenizers 0.23.3: Oniguruma for \\p{L} \\p{N} \\s, Rust's regex for \\w,
its own NFC tables), so that the classes do not depend on the Unicode version of a system library.
Takes two minutes.   pip install tokenizers==0.23.3 regex==2026.11.15
"""
import os
import unicodedata

import regex
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

LETTER, NUMBER, SPACE, WORD, INERT = 1, 2, 4, 8, 16
ALL = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
HERE = os.path.dirname(os.path.abspath(__file__))

nfc = normalizers.NFC().normalize_str


def splits(pattern):
    """Code points that the pattern cuts out of "@c@"."""
    cut = pre_tokenizers.Split(Regex(pattern), "isolated").pre_tokenize_str
    return {c for c in ALL if len(cut(f"@{chr(c)}@")) > 1}


def words():
    """\\w, through a single-word added token, which is not found after a word character."""
    tok = Tokenizer(models.BPE(vocab={"@": 0}, merges=[]))
    tok.add_tokens([AddedToken("@@", single_word=True, normalized=False)])
    return {c for c in ALL if 1 not in tok.encode(chr(c) + "@@").ids}


def inert():
    """Marks, and parts of compositions, that Unicode gained after the reference's NFC tables: a system's
    library may reorder or compose them, the reference leaves them alone."""
    def composes(c):
        pair = unicodedata.decomposition(chr(c))
        return len(pair.split()) == 2 and "<" not in pair
    takes_part = set()
    for c in ALL:
        if composes(c):
            parts = [int(p, 16) for p in unicodedata.decomposition(chr(c)).split()]
            if nfc(chr(parts[0]) + chr(parts[1])) == chr(c) or nfc(chr(c)) != chr(c):
                takes_part.update(parts)
    def moves(c):
        return nfc(f"a{chr(c)}\u0334") != f"a{chr(c)}\u0334" or nfc(f"a\u0345{chr(c)}") != f"a\u0345{chr(c)}"
    marks = {c for c in ALL if regex.match(r"\p{M}", chr(c)) and nfc(chr(c)) == chr(c)
             and c not in takes_part and c not in (0x334, 0x345) and not moves(c)}
    # Unicode 16's new compositions with letters (Todhri, Tulu-Tigalari, Kirat Rai); 15 and 17 have none
    letters = {0x105D2, 0x105DA, 0x105C9, 0x105E4, 0x11382, 0x11383, 0x11384, 0x11385, 0x1138B, 0x1138E,
               0x11390, 0x11391, 0x16D63, 0x16D67, 0x16D68, 0x16D69, 0x16D6A}
    return marks | letters


def main():
    sets = {LETTER: splits(r"\p{L}"), NUMBER: splits(r"\p{N}"), SPACE: splits(r"\s"), WORD: words(),
            INERT: inert()}
    classes = [0] * 0x110000
    for bit, members in sets.items():
        for c in members:
            classes[c] |= bit
    runs = [(c, classes[c]) for c in range(0x110000) if c == 0 or classes[c] != classes[c - 1]]
    cells = [f"0x{c << 5 | k:07X}" for c, k in runs]
    with open(os.path.join(HERE, "../../tokenizer/unicode_classes.inc"), "w") as f:
        f.write("/* Made by tests/tokenizer/make_unicode_classes.py; runs of equal class: first code point << 5\n"
                " * | class bits (1 letter, 2 number, 4 space, 8 word, 16 inert: NFC neither moves nor joins it). */\n")
        for k in range(0, len(cells), 10):
            f.write(", ".join(cells[k:k + 10]) + ",\n")
    print(len(runs), "runs", {k: len(v) for k, v in sets.items()})


if __name__ == "__main__":
    main()
