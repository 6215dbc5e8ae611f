"""Writes the decoder of a Qwen2.5-VL checkpoint as a GGUF file for llama.cpp: arch qwen2vl,
matrices in bf16, norms and biases in f32 as llama.cpp wants them. No vision tower, no vocabulary:
the bench feeds token ids.

    python decoder_gguf.py CHECKPOINT OUT.gguf
"""
import glob
import json
import os
import re
import struct
import sys

import gguf
import numpy as np

NAMES = [(r"(?:model\.language_model|model)\.embed_tokens\.weight", "token_embd.weight"),
         (r"(?:model\.language_model|model)\.norm\.weight", "output_norm.weight"),
         (r"lm_head\.weight", "output.weight")]
PARTS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
         "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down"}
LAYER = re.compile(r"(?:model\.language_model|model)\.layers\.(\d+)\.(.+)\.(weight|bias)")


def gguf_name(name):
    """llama.cpp's name of a decoder tensor, None for the vision tower's."""
    for pattern, out in NAMES:
        if re.fullmatch(pattern, name):
            return out
    m = LAYER.fullmatch(name)
    return m and "blk.%s.%s.%s" % (m.group(1), PARTS[m.group(2)], m.group(3))


def read_tensors(folder):
    """Yields (gguf name, shape, bf16 bits as a mapped uint16 array)."""
    for path in sorted(glob.glob(os.path.join(folder, "*.safetensors"))):
        with open(path, "rb") as f:
            size, = struct.unpack("<Q", f.read(8))
            header = json.loads(f.read(size))
        header.pop("__metadata__", None)
        for name, e in header.items():
            if gguf_name(name) is None:
                continue
            if e["dtype"] != "BF16":
                raise SystemExit("%s: %s is %s; the bench takes bf16 checkpoints" %
                                 (path, name, e["dtype"]))
            yield gguf_name(name), e["shape"], np.memmap(
                path, "<u2", "r", 8 + size + e["data_offsets"][0], tuple(e["shape"]))


def add_config(w, config):
    c = config.get("text_config", config)
    rope = c.get("rope_parameters") or c["rope_scaling"]
    w.add_block_count(c["num_hidden_layers"])
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(c["hidden_size"])
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_head_count(c["num_attention_heads"])
    w.add_head_count_kv(c["num_key_value_heads"])
    w.add_rope_freq_base(rope.get("rope_theta", c.get("rope_theta")))
    w.add_rope_dimension_sections([*rope["mrope_section"], 0])
    w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    w.add_vocab_size(c["vocab_size"])
    w.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    w.add_tokenizer_model("none")


def write(folder, out):
    w = gguf.GGUFWriter(out, "qwen2vl")
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
        add_config(w, json.load(f))
    for name, shape, bits in read_tensors(folder):
        if len(shape) == 1:
            wide = (bits.astype(np.uint32) << 16).view(np.float32)
            w.add_tensor(name, wide)
        else:
            w.add_tensor(name, bits.view(np.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    write(sys.argv[1], sys.argv[2])
