"""Write the checkpoint's files from a training state: python export.py --work DIR [--out DIR].

The averaged weights are rounded to bf16 and stored under the names the published Qwen2.5-VL checkpoints
use (visual.*, model.*, lm_head.weight), with a flat config.json of the same form.
"""
import argparse
import json
import os

import torch
from safetensors.torch import save_file

import model
import tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))


def config():
    c = model.config()
    t, v = c.text_config, c.vision_config
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"], "attention_dropout": 0.0,
        "bos_token_id": 256, "eos_token_id": 258, "vision_start_token_id": 259,
        "vision_end_token_id": 260, "vision_token_id": 261, "image_token_id": 262, "video_token_id": 263,
        "hidden_act": "silu", "hidden_size": t.hidden_size, "initializer_range": 0.02,
        "intermediate_size": t.intermediate_size, "max_position_embeddings": t.max_position_embeddings,
        "max_window_layers": t.num_hidden_layers, "model_type": "qwen2_5_vl",
        "num_attention_heads": t.num_attention_heads, "num_hidden_layers": t.num_hidden_layers,
        "num_key_value_heads": t.num_key_value_heads, "rms_norm_eps": 1e-06, "rope_theta": 10000.0,
        "rope_scaling": {"type": "mrope", "mrope_section": [4, 6, 6]}, "sliding_window": 32768,
        "tie_word_embeddings": False, "torch_dtype": "bfloat16", "use_cache": True,
        "use_sliding_window": False, "vocab_size": t.vocab_size,
        "vision_config": {
            "depth": v.depth, "hidden_act": "silu", "hidden_size": v.hidden_size,
            "intermediate_size": v.intermediate_size, "num_heads": v.num_heads, "in_chans": 3,
            "out_hidden_size": v.out_hidden_size, "patch_size": 14, "spatial_merge_size": 2,
            "spatial_patch_size": 14, "window_size": 112, "fullatt_block_indexes": v.fullatt_block_indexes,
            "tokens_per_second": 2, "temporal_patch_size": 2, "model_type": "qwen2_5_vl"},
    }


PREPROCESSOR = {
    "min_pixels": 28224, "max_pixels": 28224, "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2,
    "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
    "image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor",
}
GENERATION = {"bos_token_id": 256, "pad_token_id": 256, "do_sample": False, "eos_token_id": [258, 256]}


def published_name(name):
    for old, new in (("model.visual.", "visual."), ("model.language_model.", "model.")):
        if name.startswith(old):
            return new + name[len(old):]
    return name


def write_json(folder, name, data):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        json.dump(data, f, indent=2)
        f.write("\n")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--work", required=True)
    p.add_argument("--out", default=HERE)
    opt = p.parse_args()
    state = torch.load(os.path.join(opt.work, "last.pt"), weights_only=False)
    tensors = {published_name(k): v.to(torch.bfloat16).contiguous() for k, v in state["ema"].items()}
    os.makedirs(opt.out, exist_ok=True)
    target = os.path.join(opt.out, "model.safetensors")
    save_file(tensors, target + ".part", metadata={"format": "pt", "step": str(state["step"])})
    os.rename(target + ".part", target)
    tokenizer.write(opt.out)
    write_json(opt.out, "config.json", config())
    write_json(opt.out, "preprocessor_config.json", PREPROCESSOR)
    write_json(opt.out, "generation_config.json", GENERATION)
    print(f"step {state['step']}, {state['elapsed'] / 60:.1f} minutes,"
          f" {sum(t.numel() for t in tensors.values())} parameters -> {target}")


if __name__ == "__main__":
    main()
