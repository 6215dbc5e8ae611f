"""The small files that stand beside the weights of a Qwen2.5-VL checkpoint, and a streaming
safetensors writer. Standard library and numpy only."""
import json
import os
import struct

import numpy as np

# The chat template published with Qwen2.5-VL (chat_template.json of Qwen/Qwen2.5-VL-7B-Instruct).
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
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# The 22 tokens Qwen2.5 adds after its BPE vocabulary, in id order; the first 14 are special.
ADDED_TOKENS = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>",
    "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>", "<tool_call>",
    "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>",
    "<|repo_name|>", "<|file_sep|>",
]
N_SPECIAL = 14


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, indent=2, ensure_ascii=False)
        f.write("\n")


def write_side_files(folder, first_added_id, min_pixels=3136, max_pixels=12845056):
    """tokenizer_config, chat_template, preprocessor_config and generation_config for a tokenizer
    whose added tokens start at first_added_id."""
    added = {}
    for i, content in enumerate(ADDED_TOKENS):
        added[str(first_added_id + i)] = {
            "content": content, "lstrip": False, "normalized": False, "rstrip": False,
            "single_word": False, "special": i < N_SPECIAL}
    write_json(os.path.join(folder, "tokenizer_config.json"), {
        "add_bos_token": False, "add_prefix_space": False, "added_tokens_decoder": added,
        "additional_special_tokens": ADDED_TOKENS[1:N_SPECIAL], "bos_token": None,
        "chat_template": CHAT_TEMPLATE, "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>", "errors": "replace", "model_max_length": 131072,
        "pad_token": "<|endoftext|>", "processor_class": "Qwen2_5_VLProcessor",
        "split_special_tokens": False, "tokenizer_class": "Qwen2Tokenizer", "unk_token": None})
    write_json(os.path.join(folder, "chat_template.json"), {"chat_template": CHAT_TEMPLATE})
    write_json(os.path.join(folder, "preprocessor_config.json"), {
        "min_pixels": min_pixels, "max_pixels": max_pixels, "patch_size": 14,
        "temporal_patch_size": 2, "merge_size": 2,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor"})
    # As published: the penalty and temperature must not be applied unless asked for.
    write_json(os.path.join(folder, "generation_config.json"), {
        "bos_token_id": first_added_id, "pad_token_id": first_added_id, "do_sample": True,
        "eos_token_id": [first_added_id + 2, first_added_id], "repetition_penalty": 1.05,
        "temperature": 0.000001, "transformers_version": "4.49.0"})


def round_to_bf16(x):
    """float32 array -> uint16 array of bf16 bits, round to nearest even (finite input)."""
    bits = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def write_safetensors(path, shapes, dtype, fill):
    """Streams a safetensors file: shapes is {name: shape}; fill(name, shape) yields float32
    arrays that follow each other in C order. dtype is 'BF16' or 'F32'."""
    size = {"BF16": 2, "F32": 4}[dtype]
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        end = offset + size * int(np.prod(shape))
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path + ".part", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for name, shape in shapes.items():
            for piece in fill(name, shape):
                (round_to_bf16(piece) if dtype == "BF16" else piece.astype("<f4")).tofile(f)
        if f.tell() != 8 + len(text) + offset:
            raise ValueError("%s: wrote %d bytes, header says %d" % (path, f.tell(), offset))
    os.replace(path + ".part", path)
    return offset
