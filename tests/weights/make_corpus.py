"""Writes the seed corpora of fuzz_safetensors and fuzz_config: small files, honest and lying.

Run from the source root; needs only Python's standard library.
"""
import json
import os
import struct

ROOT = "tests/fuzz/corpus"


def put(folder, name, data):
    os.makedirs(os.path.join(ROOT, folder), exist_ok=True)
    with open(os.path.join(ROOT, folder, name), "wb") as f:
        f.write(data)


def put_tensors(name, header, n_data, length=None, cut=0):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    data = struct.pack("<Q", len(text) if length is None else length) + text + bytes(range(n_data))
    put("safetensors", name, data[: len(data) - cut])


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def safetensors():
    two = {
        "__metadata__": {"format": "pt"},
        "a.weight": tensor("F32", [2, 1], 0, 8),
        "b": tensor("BF16", [3], 8, 14),
    }
    scalar = {"s": tensor("I64", [], 0, 8), "e": tensor("U8", [0], 8, 8)}
    overlap = {"a": tensor("F32", [2], 0, 8), "b": tensor("F32", [1], 4, 8)}
    escapes = rb'{"\u00e9\ud83d\ude00":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}'
    put_tensors("two", two, 14)
    put_tensors("truncated", two, 14, cut=3)
    put_tensors("length", two, 14, length=2**63)
    put_tensors("scalar-empty", scalar, 8)
    put_tensors("overlap", overlap, 8)
    put_tensors("hole", {"a": tensor("F32", [1], 4, 8)}, 8)
    put_tensors("overflow", {"a": tensor("F64", [2**31, 2**31, 2**31], 0, 0)}, 0)
    put_tensors("deep", b'{"a":' + b"[" * 100, 0)
    put_tensors("escapes", escapes, 2)


def config():
    text = dict(vocab_size=48, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=64,
                rms_norm_eps=1e-6, hidden_act="silu", use_sliding_window=False)
    vision = dict(depth=2, hidden_size=16, intermediate_size=20, num_heads=2, in_chans=3,
                  patch_size=4, temporal_patch_size=2, spatial_merge_size=2, window_size=16,
                  fullatt_block_indexes=[1], out_hidden_size=16, tokens_per_second=2)
    top = dict(model_type="qwen2_5_vl", image_token_id=40, tie_word_embeddings=False,
               vision_config=vision)
    old_rope = dict(mrope_section=[2, 1, 1], type="mrope")
    new_rope = dict(mrope_section=[2, 1, 1], rope_type="default", rope_theta=1e6)
    flat = dict(top, **text, rope_theta=1e6, rope_scaling=old_rope, eos_token_id=[7, 8])
    nested = dict(top, text_config=dict(text, rope_parameters=new_rope))
    generation = dict(eos_token_id=[151645, 151643], do_sample=True, temperature=1e-6, top_p=0.8,
                      top_k=1, repetition_penalty=1.05)
    huge = dict(flat, hidden_size=2**60)
    for name, value in dict(flat=flat, nested=nested, generation=generation, huge=huge).items():
        put("config", name, json.dumps(value).encode())
    put("config", "bomb", b'{"a":' + b"[" * 64)


if __name__ == "__main__":
    safetensors()
    config()
