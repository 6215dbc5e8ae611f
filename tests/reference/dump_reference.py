"""Writes the tensors of every stage of the reference's prefill, to hold against `medvision --dump`.

    python dump_reference.py CHECKPOINT OUT [--case ID] [--dtype float32|bfloat16]
    python dump_reference.py CHECKPOINT OUT --prompt TEXT [--system TEXT] [--image F]...
                             [--image-order first|last]

OUT/prefill.safetensors, all float32, under the engine's names:

    patches             [n_patch, 1176]  the processor's output, raster order of 2x2 groups
    vision.patch_embed  [n_patch, dv]    in window order, as are the blocks
    vision.block.<i>    [n_patch, dv]    output of block i
    vision.merged       [n_image_token, d]  back in raster order
    embed               [n_tok, d]       token embeddings with the image rows spliced in
    decoder.layer.<i>   [n_tok, d]       output of layer i
    decoder.norm        [1, d]           last prompt position
    logits              [1, vocab]       after the prompt

With --case the request is one of the checkpoint's expected.jsonl, its images beside the folder.
"""
import argparse
import json
import os

import torch
from safetensors.torch import save_file

from reference import Reference


def record(ref, inputs):
    """Runs the prefill once and returns {name: float32 tensor}."""
    model, out, hooks = ref.model.model, {}, []

    def keep(name):
        def hook(module, args, result):
            value = result[0] if isinstance(result, tuple) else result
            out[name] = value.detach().float().reshape(-1, value.shape[-1]).clone()
        return hook

    def keep_input(name):
        def hook(module, args, kwargs):
            value = args[0] if args else kwargs["hidden_states"]
            out[name] = value.detach().float().reshape(-1, value.shape[-1]).clone()
        return hook

    def keep_vision(module, args, result):
        out["vision.merged"] = result.pooler_output.detach().float().clone()

    visual, text = model.visual, model.language_model
    hooks.append(visual.blocks[0].register_forward_pre_hook(
        keep_input("vision.patch_embed"), with_kwargs=True))
    for i, block in enumerate(visual.blocks):
        hooks.append(block.register_forward_hook(keep("vision.block.%d" % i)))
    hooks.append(visual.register_forward_hook(keep_vision))
    hooks.append(text.layers[0].register_forward_pre_hook(keep_input("embed"), with_kwargs=True))
    for i, layer in enumerate(text.layers):
        hooks.append(layer.register_forward_hook(keep("decoder.layer.%d" % i)))
    hooks.append(text.norm.register_forward_hook(keep("decoder.norm")))
    if "pixel_values" in inputs:
        out["patches"] = inputs["pixel_values"].float().clone()
    logits = ref.logits(inputs)
    for hook in hooks:
        hook.remove()
    out["decoder.norm"] = out["decoder.norm"][-1:].clone()
    out["logits"] = logits[None].clone()
    return out


def find_case(folder, name):
    with open(os.path.join(folder, "expected.jsonl"), encoding="utf-8") as f:
        cases = {c["id"]: c for c in map(json.loads, f)}
    if name not in cases:
        raise SystemExit("%s: no case %s; there are: %s" % (folder, name, ", ".join(cases)))
    return cases[name]


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("checkpoint")
    ap.add_argument("out")
    ap.add_argument("--case")
    ap.add_argument("--prompt", default="")
    ap.add_argument("--system")
    ap.add_argument("--image", action="append", default=[])
    ap.add_argument("--image-order", choices=("first", "last"), default="first")
    ap.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    a = ap.parse_args()
    if a.case:
        case = find_case(a.checkpoint, a.case)
        image_folder = os.path.dirname(os.path.abspath(a.checkpoint))
    else:
        case = dict(prompt=a.prompt, system=a.system, images=a.image, image_order=a.image_order)
        image_folder = ""
    ref = Reference(a.checkpoint, getattr(torch, a.dtype))
    tensors = record(ref, ref.inputs(case, image_folder))
    os.makedirs(a.out, exist_ok=True)
    path = os.path.join(a.out, "prefill.safetensors")
    save_file(tensors, path, metadata={"dtype": a.dtype, "case": a.case or ""})
    print("%s: %d tensors" % (path, len(tensors)))


if __name__ == "__main__":
    main()
