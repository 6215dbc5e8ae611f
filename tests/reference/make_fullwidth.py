"""Writes a seeded random checkpoint of Qwen2.5-VL-7B's true widths with few layers: the real shapes
for measuring kernels, small enough to write anywhere (2+2 layers: about 3.2 GB, bf16, two shards).

    python make_fullwidth.py FOLDER [--tokenizer DIR] [--layers 2] [--depth 2] [--seed 1]

Config and tensor names are those of the published checkpoint (flat config.json, `model.*` and
`visual.*`). Streams: memory stays below 100 MB and torch is not needed.
"""
import argparse
import json
import os
import shutil

import numpy as np

from checkpoint_files import write_json, write_safetensors, write_side_files

D, FF, VOCAB, N_KV_ROW = 3584, 18944, 152064, 512  # 28 query and 4 key-value heads of 128
DV, FFV, MERGED = 1280, 3420, 5120                 # vision: 16 heads of 80, 2x2 merge
CHUNK = 1 << 22


def config(layers, depth):
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"], "attention_dropout": 0.0,
        "bos_token_id": 151643, "eos_token_id": 151645, "vision_start_token_id": 151652,
        "vision_end_token_id": 151653, "vision_token_id": 151654, "image_token_id": 151655,
        "video_token_id": 151656, "hidden_act": "silu", "hidden_size": D,
        "initializer_range": 0.02, "intermediate_size": FF, "max_position_embeddings": 128000,
        "max_window_layers": 28, "model_type": "qwen2_5_vl", "num_attention_heads": 28,
        "num_hidden_layers": layers, "num_key_value_heads": 4, "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": False,
        "torch_dtype": "bfloat16", "transformers_version": "4.41.2", "use_cache": True,
        "use_sliding_window": False,
        "vision_config": {
            "depth": depth, "hidden_act": "silu", "hidden_size": DV, "intermediate_size": FFV,
            "num_heads": 16, "in_chans": 3, "out_hidden_size": D, "patch_size": 14,
            "spatial_merge_size": 2, "spatial_patch_size": 14, "window_size": 112,
            "fullatt_block_indexes": [depth - 1], "tokens_per_second": 2,
            "temporal_patch_size": 2},
        "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}, "vocab_size": VOCAB}


def vision_shapes(depth):
    shapes = {"visual.patch_embed.proj.weight": (DV, 3, 2, 14, 14)}
    for i in range(depth):
        p = "visual.blocks.%d." % i
        shapes.update({
            p + "norm1.weight": (DV,), p + "norm2.weight": (DV,),
            p + "attn.qkv.weight": (3 * DV, DV), p + "attn.qkv.bias": (3 * DV,),
            p + "attn.proj.weight": (DV, DV), p + "attn.proj.bias": (DV,),
            p + "mlp.gate_proj.weight": (FFV, DV), p + "mlp.gate_proj.bias": (FFV,),
            p + "mlp.up_proj.weight": (FFV, DV), p + "mlp.up_proj.bias": (FFV,),
            p + "mlp.down_proj.weight": (DV, FFV), p + "mlp.down_proj.bias": (DV,)})
    shapes.update({
        "visual.merger.ln_q.weight": (DV,), "visual.merger.mlp.0.weight": (MERGED, MERGED),
        "visual.merger.mlp.0.bias": (MERGED,), "visual.merger.mlp.2.weight": (D, MERGED),
        "visual.merger.mlp.2.bias": (D,)})
    return shapes


def decoder_shapes(layers):
    shapes = {}
    for i in range(layers):
        p = "model.layers.%d." % i
        shapes.update({
            p + "input_layernorm.weight": (D,), p + "post_attention_layernorm.weight": (D,),
            p + "self_attn.q_proj.weight": (D, D), p + "self_attn.q_proj.bias": (D,),
            p + "self_attn.k_proj.weight": (N_KV_ROW, D), p + "self_attn.k_proj.bias": (N_KV_ROW,),
            p + "self_attn.v_proj.weight": (N_KV_ROW, D), p + "self_attn.v_proj.bias": (N_KV_ROW,),
            p + "self_attn.o_proj.weight": (D, D), p + "mlp.gate_proj.weight": (FF, D),
            p + "mlp.up_proj.weight": (FF, D), p + "mlp.down_proj.weight": (D, FF)})
    shapes["model.norm.weight"] = (D,)
    return shapes


def filler(seed):
    rng = np.random.default_rng(seed)

    def fill(name, shape):
        left = int(np.prod(shape))
        norm = "norm" in name or "ln_q" in name
        std = 0.1 if norm else 0.02
        while left:
            n = min(left, CHUNK)
            x = rng.standard_normal(n, dtype=np.float32) * np.float32(std)
            yield x + np.float32(1) if norm else x
            left -= n
    return fill


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("folder")
    ap.add_argument("--tokenizer", default=None, help="folder that holds Qwen2.5's tokenizer.json")
    ap.add_argument("--layers", type=int, default=2)
    ap.add_argument("--depth", type=int, default=2)
    ap.add_argument("--seed", type=int, default=1)
    a = ap.parse_args()
    os.makedirs(a.folder, exist_ok=True)
    first = {"model.embed_tokens.weight": (VOCAB, D), **vision_shapes(a.depth)}
    second = {**decoder_shapes(a.layers), "lm_head.weight": (VOCAB, D)}
    total, weight_map = 0, {}
    for i, shapes in enumerate((first, second)):
        name = "model-%05d-of-00002.safetensors" % (i + 1)
        path = os.path.join(a.folder, name)
        total += write_safetensors(path, shapes, "BF16", filler([a.seed, i]))
        weight_map.update(dict.fromkeys(shapes, name))
    write_json(os.path.join(a.folder, "model.safetensors.index.json"),
               {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))})
    write_json(os.path.join(a.folder, "config.json"), config(a.layers, a.depth))
    write_side_files(a.folder, 151643)
    if a.tokenizer:
        shutil.copyfile(os.path.join(a.tokenizer, "tokenizer.json"),
                        os.path.join(a.folder, "tokenizer.json"))
    print(json.dumps({"folder": a.folder, "bytes": total, "tensors": len(weight_map)}))


if __name__ == "__main__":
    main()
