"""Makes small random Qwen2.5-VL checkpoints and what the reference answers on them.

    python make_checkpoints.py FOLDER [--only NAME,...] [--committed]

Writes FOLDER/images/*.png and, for every checkpoint of cases.py, FOLDER/NAME/ (complete: config,
weights, tokenizer, processor) with expected.jsonl (one case a line) and made_with.json. Fields of
a line are described in README.md. With the versions of requirements.txt the result is the same
to the last bit of every weight; logits repeat to float rounding.
"""
import argparse
import base64
import json
import math
import os
import platform
import shutil

import numpy as np
import safetensors
import safetensors.torch
import tokenizers
import torch
import torchvision
import transformers
from PIL import Image
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import AddedToken, trainers
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from cases import CASES, CORPUS, IMAGES, SPECS
from checkpoint_files import ADDED_TOKENS, N_SPECIAL, write_json, write_side_files
from reference import Reference, relative_l2

N_BPE = 512  # 256 bytes and 256 merges; the added tokens follow
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
         r"\s*[\r\n]+|\s+(?!\S)|\s+")


def make_tokenizer():
    t = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix="", fuse_unk=False))
    byte_level = dict(add_prefix_space=False, trim_offsets=False, use_regex=False)
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), "isolated"), pre_tokenizers.ByteLevel(
            add_prefix_space=False, trim_offsets=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(**byte_level)
    t.train_from_iterator([CORPUS], trainers.BpeTrainer(
        vocab_size=N_BPE, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False, min_frequency=1))
    if t.get_vocab_size() != N_BPE:
        raise ValueError("the corpus gave only %d tokens" % t.get_vocab_size())
    for i, content in enumerate(ADDED_TOKENS):
        token = AddedToken(content, normalized=False, special=i < N_SPECIAL)
        (t.add_special_tokens if i < N_SPECIAL else t.add_tokens)([token])
    return t


def make_image(path, width, height, mode, seed):
    """Waves and a few discs on an uneven ground: structure at every scale, few grey levels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = []
    for _ in range(len(mode)):
        fx, fy, phase = rng.uniform(0.02, 0.12, 3)
        plane = 90 + 50 * np.sin(fx * x + 6 * phase) * np.cos(fy * y) + 40 * x / width
        for _ in range(4):
            cx, cy = rng.uniform(0, width), rng.uniform(0, height)
            r = rng.uniform(0.08, 0.25) * min(width, height) + 2
            plane[(x - cx) ** 2 + (y - cy) ** 2 < r * r] += rng.uniform(-70, 70)
        planes.append(np.clip(np.round(plane / 8) * 8, 0, 255).astype(np.uint8))
    array = planes[0] if mode == "L" else np.stack(planes, -1)
    Image.fromarray(array, mode=None).save(path, optimize=True)


def make_config(s):
    first = N_BPE
    token = {name: first + i for i, name in enumerate(ADDED_TOKENS)}
    return Qwen2_5_VLConfig(
        text_config=dict(
            vocab_size=s["rows"], hidden_size=s["d"], intermediate_size=s["ff"],
            num_hidden_layers=s["layers"], num_attention_heads=s["heads"][0],
            num_key_value_heads=s["heads"][1], max_position_embeddings=4096,
            rms_norm_eps=s["eps"], tie_word_embeddings=s["tied"],
            rope_parameters={"rope_type": "default", "rope_theta": s["theta"],
                             "mrope_section": s["sections"]},
            bos_token_id=first, eos_token_id=token["<|im_end|>"], pad_token_id=first),
        vision_config=dict(
            depth=s["depth"], hidden_size=s["dv"], intermediate_size=s["ffv"],
            num_heads=s["vheads"], out_hidden_size=s["d"], fullatt_block_indexes=s["fullatt"],
            window_size=s["window"], tokens_per_second=2),
        image_token_id=token["<|image_pad|>"], video_token_id=token["<|video_pad|>"],
        vision_start_token_id=token["<|vision_start|>"],
        vision_end_token_id=token["<|vision_end|>"], tie_word_embeddings=s["tied"])


def fill_weights(model, seed):
    """Random values at which every part matters: activations near 1, sharp enough attention,
    biases and norm weights that cannot be left out unnoticed, logits of spread 3."""
    rng = torch.Generator().manual_seed(seed)
    d = model.config.text_config.hidden_size
    for name, p in sorted(model.named_parameters()):
        x = torch.randn(p.shape, generator=rng)
        if "norm" in name or "ln_q" in name:
            x = 1 + 0.2 * x
        elif name.endswith("bias"):
            x = x * (0.7 if "k_proj" in name or "q_proj" in name else 0.2)
        elif "embed_tokens" in name or "lm_head" in name:
            x = x * (3 / math.sqrt(d))
        else:
            gain = 1.4 if "q_proj" in name or "k_proj" in name or "qkv" in name else 1.0
            x = x * (gain / math.sqrt(p[0].numel()))
        p.data.copy_(x)


def flat_config(nested, s):
    """config.json as transformers <= 4.51 wrote it and as the published checkpoint has it."""
    text = nested["text_config"]
    keep = ("bos_token_id", "eos_token_id", "hidden_act", "hidden_size", "initializer_range",
            "intermediate_size", "max_position_embeddings", "num_attention_heads",
            "num_hidden_layers", "num_key_value_heads", "rms_norm_eps", "use_cache", "vocab_size")
    out = {k: text[k] for k in keep}
    out.update({k: nested[k] for k in ("architectures", "image_token_id", "video_token_id",
                                       "vision_start_token_id", "vision_end_token_id")})
    v = nested["vision_config"]
    vision = {k: v[k] for k in ("depth", "hidden_act", "hidden_size", "intermediate_size",
                                "num_heads", "out_hidden_size", "patch_size", "spatial_merge_size",
                                "window_size", "fullatt_block_indexes", "tokens_per_second",
                                "temporal_patch_size")}
    vision.update(in_chans=3, spatial_patch_size=14)
    out.update(
        attention_dropout=0.0, model_type="qwen2_5_vl", rope_theta=s["theta"],
        rope_scaling={"type": "mrope", "mrope_section": s["sections"]}, sliding_window=32768,
        use_sliding_window=False, max_window_layers=s["layers"], tie_word_embeddings=s["tied"],
        torch_dtype=s["stored"], transformers_version="4.49.0", vision_config=vision)
    return out


def old_name(name):
    for new, old in (("model.visual.", "visual."), ("model.language_model.", "model.")):
        if name.startswith(new):
            return old + name[len(new):]
    return name


def make_flat(folder, s):
    """Rewrites a saved checkpoint to the old config and tensor names."""
    path = os.path.join(folder, "config.json")
    nested = json.load(open(path, encoding="utf-8"))
    write_json(path, flat_config(nested, s))
    index = os.path.join(folder, "model.safetensors.index.json")
    if os.path.exists(index):
        content = json.load(open(index, encoding="utf-8"))
        content["weight_map"] = {old_name(k): v for k, v in content["weight_map"].items()}
        write_json(index, content)
    for name in sorted(os.listdir(folder)):
        if name.endswith(".safetensors"):
            path = os.path.join(folder, name)
            tensors = safetensors.torch.load_file(path)
            safetensors.torch.save_file({old_name(k): v.clone() for k, v in tensors.items()},
                                        path, metadata={"format": "pt"})


def make_checkpoint(folder, s):
    """Builds, saves and completes one checkpoint folder."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    torch.manual_seed(s["seed"])
    model = Qwen2_5_VLForConditionalGeneration(make_config(s))
    fill_weights(model, s["seed"])
    dtype = getattr(torch, s["stored"])
    model = model.to(dtype)
    n_bytes = sum(p.numel() * p.element_size() for p in model.parameters())
    limit = 1 << 40 if s["shards"] == 1 else math.ceil(1.3 * n_bytes / s["shards"])
    model.save_pretrained(folder, max_shard_size=limit)
    write_side_files(folder, N_BPE, s.get("min_pixels", 3136), s.get("max_pixels", 12845056))
    make_tokenizer().save(os.path.join(folder, "tokenizer.json"))
    if s["form"] == "flat":
        make_flat(folder, s)
    for name in os.listdir(folder):
        os.chmod(os.path.join(folder, name), 0o644)


def top(logprobs, k=5):
    order = sorted(range(len(logprobs)), key=lambda i: (-logprobs[i], i))[:k]
    return [{"token_id": i, "logprob": round(logprobs[i], 6)} for i in order]


def expect(ref, half, case, image_folder, forbidden):
    """One line of expected.jsonl, from recomputing the whole sequence for every token; checks
    that transformers' cached loop agrees. Returns the line and the largest disagreement."""
    inputs = ref.inputs(case, image_folder)
    end_ids = ref.model.generation_config.eos_token_id
    ids, gaps, logprobs, all_logits = [], [], [], []
    while len(ids) < case["max_new_tokens"] and not (ids and ids[-1] in end_ids):
        logits = ref.logits(inputs, ids)
        lp = torch.log_softmax(logits, -1).tolist()
        best = top(lp)
        all_logits.append(logits)
        gaps.append(round(best[0]["logprob"] - best[1]["logprob"], 6))
        logprobs.append({**best[0], "top": best})
        ids.append(best[0]["token_id"])
    if set(ids) & forbidden:
        raise ValueError("%s: generates a picture token; choose another seed" % case["id"])
    cached_ids, cached = ref.generate(inputs, case["max_new_tokens"])
    same = cached_ids == ids
    differ = (cached - torch.stack(all_logits)).abs().max().item() if same else math.inf
    if not differ < 5e-4:
        raise ValueError("%s: cached and recomputed generation differ: %s, %s, %g" %
                         (case["id"], ids, cached_ids, differ))
    first = all_logits[0].numpy()
    line = dict(
        case, prompt_ids=inputs["input_ids"][0].tolist(),
        image_grids=inputs["image_grid_thw"].tolist() if case["images"] else [],
        token_ids=ids, gaps=gaps, logprobs=logprobs,
        finish_reason="stop" if ids[-1] in end_ids else "length",
        bf16_rel_l2=round(relative_l2(half.logits(half.inputs(case, image_folder)), first), 6),
        logits_f32_b64=base64.b64encode(first.astype("<f4").tobytes()).decode())
    return line, differ


def expect_all(folder, image_folder, s):
    """Writes expected.jsonl and made_with.json of one checkpoint folder."""
    ref, half = Reference(folder), Reference(folder, torch.bfloat16)
    raw = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    pictures = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>")
    forbidden = {raw.token_to_id(t) for t in pictures}
    lines, worst = [], 0.0
    for case in CASES:
        for text in (case["prompt"], case["system"] or ""):
            if ref.processor.tokenizer(text)["input_ids"] != raw.encode(text).ids:
                raise ValueError("%s: transformers departs from tokenizer.json" % case["id"])
        line, differ = expect(ref, half, case, image_folder, forbidden)
        lines.append(line)
        worst = max(worst, differ)
    with open(os.path.join(folder, "expected.jsonl"), "w", encoding="utf-8") as f:
        f.writelines(json.dumps(x, ensure_ascii=False) + "\n" for x in lines)
    modules = (np, safetensors, tokenizers, torch, torchvision, transformers)
    write_json(os.path.join(folder, "made_with.json"), {
        "script": "tests/reference/make_checkpoints.py", "spec": s,
        "python": platform.python_version(),
        **{m.__name__: m.__version__ for m in modules}, "machine": platform.machine(),
        "cached_vs_recomputed_max_abs_logit": worst})
    return lines, worst


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("folder")
    ap.add_argument("--only", help="names separated by commas")
    ap.add_argument("--committed", action="store_true", help="only those kept in the repository")
    a = ap.parse_args()
    names = a.only.split(",") if a.only else [n for n, s in SPECS.items()
                                              if s["committed"] or not a.committed]
    image_folder = os.path.join(a.folder, "images")
    os.makedirs(image_folder, exist_ok=True)
    for name, spec in IMAGES.items():
        make_image(os.path.join(image_folder, name + ".png"), *spec)
    for name in names:
        folder = os.path.join(a.folder, name)
        make_checkpoint(folder, SPECS[name])
        lines, worst = expect_all(folder, a.folder, SPECS[name])
        gaps = [g for x in lines for g in x["gaps"]]
        print("%-24s %2d cases, %3d tokens, smallest gap %.4f, bf16 rel L2 %.4f, cache %.1e" % (
            name, len(lines), len(gaps), min(gaps), max(x["bf16_rel_l2"] for x in lines), worst),
            flush=True)


if __name__ == "__main__":
    main()
