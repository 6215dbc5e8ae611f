"""Makes tests/data/tokenizer/chat.jsonl: conversations -> ids by transformers' apply_chat_template.

Each line: `messages` (role, content: a list of {"text"} and {"image": number of tokens}), `generate`, and the
expected ids with the small tokenizer (`small`) and with Qwen2.5's (`qwen`, when its folder is given).
Every <|image_pad|> of the rendered text is repeated as the processor does, then the text is encoded whole.

pip install transformers==5.23.0 tokenizers==0.23.3;  seed 20250102.
usage: make_chat_golden.py [FOLDER OF QWEN2.5'S TOKENIZER]
"""
import json
import os
import random
import sys

from transformers import PreTrainedTokenizerFast

import make_golden

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "../data/tokenizer")
# Qwen2.5-VL's chat_template.json
TEMPLATE = (
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


def expected(tok, messages, generate):
    content = [{"role": m["role"], "content": [{"type": "image"} if "image" in p else {"type": "text", **p}
                                                for p in m["content"]]} for m in messages]
    text = tok.apply_chat_template(content, chat_template=TEMPLATE, tokenize=False, add_generation_prompt=generate)
    for part in [p for m in messages for p in m["content"] if "image" in p]:
        text = text.replace("<|image_pad|>", "<|pad|>" * part["image"], 1)
    return tok(text.replace("<|pad|>", "<|image_pad|>"))["input_ids"]


def conversations():
    rng = random.Random(20250102)
    words = [p for p in make_golden.PIECES if "<|" not in p] + ["Describe the lesion.", "\n", "  ", "Task:\n"]
    def text():
        return {"text": "".join(rng.choice(words) for _ in range(rng.randrange(0, 8)))}
    def parts():
        return [text() if rng.random() < 0.6 else {"image": rng.randrange(1, 6)} for _ in range(rng.randrange(0, 5))]
    one, image = {"text": "Task:\nGiven the input medical image: x"}, {"image": 4}
    yield [{"role": "user", "content": [one]}], True
    yield [{"role": "user", "content": [image, one]}], True
    yield [{"role": "user", "content": [one, image]}], True
    yield [{"role": "user", "content": [image, image]}], True
    yield [{"role": "user", "content": [{"text": "Task:"}, {"text": "\nGiven"}, {"text": " the"}]}], True
    yield [{"role": "system", "content": [{"text": "\u0301"}]}, {"role": "user", "content": [{"text": " "}]}], False
    yield [{"role": "system", "content": []}], True
    yield [{"role": "user", "content": [one]}, {"role": "assistant", "content": [{"text": "<think>\n</think>\n"}]},
           {"role": "user", "content": [image, {"text": "\n"}]}], True
    for _ in range(72):
        roles = ["system"] * rng.randrange(2) + ["user", "assistant"] * rng.randrange(1, 3)
        yield [{"role": r, "content": parts()} for r in roles[:rng.randrange(1, len(roles) + 1)]], rng.random() < 0.8


def main():
    folders = {"small": os.path.join(DATA, "small")}
    if len(sys.argv) > 1:
        folders["qwen"] = sys.argv[1]
    toks = {k: PreTrainedTokenizerFast(tokenizer_file=os.path.join(v, "tokenizer.json")) for k, v in folders.items()}
    with open(os.path.join(DATA, "chat.jsonl"), "w", newline="\n") as f:
        for messages, generate in conversations():
            ids = {k: expected(tok, messages, generate) for k, tok in toks.items()}
            f.write(json.dumps({"messages": messages, "generate": generate, **ids}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
