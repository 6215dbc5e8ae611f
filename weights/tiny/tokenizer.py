"""A byte-level BPE tokenizer in Qwen2.5's form: 256 bytes, no merges, fixed sentences as added tokens.

The sentences are not typed in: the prompts are rendered with a marker in every slot and cut there, so
the tokenizer follows the contract's strings whatever they are. Any other text falls back to bytes.
"""
import json
import os

import prompts
import vocab

HERE = os.path.dirname(os.path.abspath(__file__))
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
           "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]
VOCAB_SIZE = 512          # rounded up: the last rows of the embedding are never used
CUT = "\u0001"            # stands in every slot while the sentences are collected
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
DEFAULT_SYSTEM = "You are a helpful assistant."
CHAT_TEMPLATE = (
    "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}"
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}"
    "{{ message['content'] }}<|im_end|>\n{% else %}{% for content in message['content'] %}"
    "{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}"
    "{% set image_count.value = image_count.value + 1 %}"
    "{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif content['type'] == 'video' or 'video' in content %}"
    "{% set video_count.value = video_count.value + 1 %}"
    "{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}"
    "<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def byte_symbols():
    """GPT-2's printable stand-ins for the 256 bytes, in byte order."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(spare)) for b in range(256)]


class Slot(float):
    """A number that prints as the cut mark, whatever its format."""
    def __format__(self, spec):
        return CUT


def _prompt_texts():
    size, pixel = vocab.IMAGE_SIZE, (Slot(1), Slot(1))
    for mode in ("cot", "plain", "no-steps"):
        yield prompts.detect_prompt(CUT, CUT, mode)
        yield prompts.size_prompt(CUT, size, pixel, description=CUT, mode=mode)
        for name in ("", CUT):
            yield prompts.distance_prompt([CUT] * 2, size, pixel, name=name, description=CUT, mode=mode)
            yield prompts.angle_prompt([CUT] * 4, size, pixel, name=name, description=CUT, mode=mode)


def _target_texts():
    sizes = {"<image_width>": str(vocab.IMAGE_SIZE[0]), "<image_height>": str(vocab.IMAGE_SIZE[1])}
    for name in ("DETECTION", "TL_NORM", "DISTANCE", "ANGLE"):
        text = prompts.S["COT_TEMPLATE_" + name]
        for slot, value in sizes.items():
            text = text.replace(slot, value)
        yield _cut_slots(text)


def _cut_slots(text):
    """Replace the template's <slots>, but not the tags of the answer format."""
    import re
    slots = (r"<(?:landmark \d|label|label_name|coor\d_[wh]|[xy]\d(?:_\w+)?|pixel_\w+|[AB][xy]"
             r"|angle(?:_degree)?|distance|(?:major|minor)_axis_length)>")
    return re.sub(slots, CUT, text)


def fragments():
    """Fixed sentences between slots, longest first; pieces of one or two bytes stay bytes."""
    texts = [t.replace(": " + CUT, CUT, 1) if t.startswith("Task") else t
             for t in [*_prompt_texts(), *_target_texts()]]
    found = dict.fromkeys(p for t in texts for p in t.split(CUT))
    names = [*vocab.ORGANS, *vocab.LESIONS, *vocab.MARKERS, vocab.CENTER, vocab.DISTANCE_NAME,
             vocab.ANGLE_NAME, *(": " + d for d in vocab.SCANS.values())]
    numbers = ["0.", ", ", ", 0.", ",0.", "), (0.", " - 0."]
    roles = ["system\n", "user\n", "assistant\n", prompts.SYSTEM_PROMPT, DEFAULT_SYSTEM]
    pieces = [p for p in found if len(p) > 2]
    return list(dict.fromkeys([*roles, *names, *numbers, *pieces]))


def build():
    base = {symbol: k for k, symbol in enumerate(byte_symbols())}
    added = [(t, True) for t in SPECIAL] + [(t, False) for t in fragments()]
    assert 256 + len(added) <= VOCAB_SIZE, len(added)
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": 256 + k, "content": t, "single_word": False, "lstrip": False,
                          "rstrip": False, "normalized": False, "special": special}
                         for k, (t, special) in enumerate(added)],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": byte_level,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False,
                  "ignore_merges": False, "vocab": base, "merges": []},
    }


def tokenizer_config():
    spec = build()
    return {
        "add_bos_token": False, "add_prefix_space": False,
        "added_tokens_decoder": {str(t["id"]): {k: v for k, v in t.items() if k != "id"}
                                 for t in spec["added_tokens"]},
        "additional_special_tokens": SPECIAL[1:], "bos_token": None, "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False, "eos_token": "<|im_end|>", "errors": "replace",
        "model_max_length": 32768, "pad_token": "<|endoftext|>", "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer", "unk_token": None,
    }


def write(folder=HERE):
    for name, data in (("tokenizer.json", build()), ("tokenizer_config.json", tokenizer_config())):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            json.dump(data, f, ensure_ascii=False, indent=1)
            f.write("\n")


def load(folder=HERE):
    from tokenizers import Tokenizer
    return Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))


if __name__ == "__main__":
    write()
    tok = load()
    print(tok.get_vocab_size(), "tokens")
    for t in build()["added_tokens"]:
        print(t["id"], repr(t["content"])[:100])
