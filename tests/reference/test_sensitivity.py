"""Shows that the committed cases can fail: each known way to get this architecture wrong, put into
the reference, must move a log-probability by more than the tolerance on some committed case.

    python test_sensitivity.py [--data tests/data/reference]

Needs requirements.txt (77 and `skip: reason` without it). One line a mistake: how far the best five
log-probabilities after the prompt move at most, and on which case. Prints `N passed, N failed`.
"""
import argparse
import contextlib
import importlib.util
import os
import sys
from unittest import mock

import goldens
from test_generate import NEEDED, ROOT

MARGIN = 1.2  # times the tolerance; only the form of GELU moves less than fifty times
if not any(importlib.util.find_spec(m) is None for m in NEEDED):
    import torch
    from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as hf
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
    from reference import Reference

MISTAKES = {}


def mistake(text):
    def add(function):
        MISTAKES[text] = contextlib.contextmanager(function)
        return function
    return add


def changed(ref, part, change):
    """Applies change to every parameter whose name contains part."""
    old = [(p, p.data.clone()) for n, p in ref.model.named_parameters() if part in n]
    if not old:
        raise ValueError("no tensor %s" % part)
    for p, data in old:
        p.data.copy_(change(data))
    return lambda: [p.data.copy_(data) for p, data in old]


def weights_mistake(text, part, change):
    @mistake(text)
    def run(ref):
        undo = changed(ref, part, change)
        yield
        undo()


def zero(x): return x * 0


def one(x): return x * 0 + 1


for bias in ("q_proj.bias", "k_proj.bias", "v_proj.bias", "attn.qkv.bias", "attn.proj.bias",
             "visual.blocks.0.mlp.gate_proj.bias", "visual.blocks.0.mlp.up_proj.bias",
             "visual.blocks.0.mlp.down_proj.bias", "merger.mlp.0.bias", "merger.mlp.2.bias"):
    weights_mistake("no %s" % bias, bias, zero)
for norm in ("input_layernorm", "post_attention_layernorm", "language_model.norm", "norm1",
             "norm2", "ln_q"):
    weights_mistake("%s weights left out" % norm, norm, one)


def positions_mistake(text, change):
    @mistake(text)
    def run(ref):
        right = ref.model.model.get_rope_index

        def wrong(ids, *args, **kwargs):
            positions, deltas = right(ids, *args, **kwargs)
            return change(positions.clone()), deltas
        with mock.patch.object(ref.model.model, "get_rope_index", wrong):
            yield


def counted(p):
    return torch.arange(p.shape[-1]).expand_as(p)


def late_text(p):
    """Text after a picture numbered from the count of its tokens."""
    p[..., -1:] = p.shape[-1]
    return p


positions_mistake("one-dimensional positions", counted)
positions_mistake("rows and columns swapped in the positions", lambda p: p[[0, 2, 1]])
positions_mistake("last text position counts image tokens", late_text)
positions_mistake("time position runs along rows", lambda p: p[[1, 1, 2]])


@mistake("M-RoPE sections in the wrong order")
def sections(ref):
    rope = ref.model.model.language_model.rotary_emb
    with mock.patch.object(rope, "mrope_section", rope.mrope_section[::-1]):
        yield


@mistake("adjacent pairs rotated instead of halves")
def pairs(ref):
    def adjacent(x):
        return torch.stack((-x[..., 1::2], x[..., ::2]), -1).flatten(-2)
    with mock.patch.object(hf, "rotate_half", adjacent):
        yield


def rope_base(text, find):
    @mistake(text)
    def run(ref):
        rope = find(ref.model.model)
        old = rope.inv_freq
        rope.inv_freq = old ** 1.1
        yield
        rope.inv_freq = old


rope_base("another rope_theta", lambda m: m.language_model.rotary_emb)
rope_base("another vision rope base", lambda m: m.visual.rotary_pos_emb)


def blocks_mistake(text, blocks):
    @mistake(text)
    def run(ref):
        visual = ref.model.model.visual
        with mock.patch.object(visual, "fullatt_block_indexes", blocks(len(visual.blocks))):
            yield


blocks_mistake("full attention in every vision block", lambda n: list(range(n)))
blocks_mistake("windows in every vision block", lambda n: [])


@mistake("vision windows of another size")
def window(ref):
    with mock.patch.object(ref.model.model.visual, "window_size", 168):
        yield


@mistake("window order applied twice instead of undone")
def twice(ref):
    with mock.patch.object(hf.torch, "argsort", lambda x: x):
        yield


@mistake("rotary positions of the vision tower not put in window order")
def raster_rope(ref):
    visual = ref.model.model.visual
    right = visual.permute_input_for_window_attn

    def wrong(x, index, seq_len):
        return right(x, index, seq_len) if x.shape[-1] == visual.config.hidden_size and \
            visual.config.num_heads > 1 else x
    with mock.patch.object(visual, "permute_input_for_window_attn", wrong):
        yield


@mistake("rows and columns swapped in the vision rope")
def vision_rope_swap(ref):
    right = hf.get_vision_position_ids
    with mock.patch.object(hf, "get_vision_position_ids",
                           lambda *a, **k: right(*a, **k).flip(0)):
        yield


@mistake("pictures of one prompt attend to each other")
def mixed(ref):
    right = hf.get_vision_attention_seqlens

    def wrong(*args, **kwargs):
        lengths, longest = right(*args, **kwargs)
        return lengths[[0, -1]], longest
    with mock.patch.object(hf, "get_vision_attention_seqlens", wrong):
        yield


def eps_mistake(text, is_ours, eps):
    @mistake(text)
    def run(ref):
        norms = [m for n, m in ref.model.named_modules()
                 if isinstance(m, hf.Qwen2_5_VLRMSNorm) and is_ours(n)]
        old = [m.variance_epsilon for m in norms]
        for m in norms:
            m.variance_epsilon = eps
        yield
        for m, value in zip(norms, old):
            m.variance_epsilon = value


eps_mistake("rms_norm_eps fixed at 1e-6", lambda n: "language_model" in n, 1e-6)


@mistake("rms_norm_eps of the text used in the vision tower")
def vision_eps(ref):
    text = ref.model.config.text_config.rms_norm_eps
    norms = [m for n, m in ref.model.named_modules()
             if isinstance(m, hf.Qwen2_5_VLRMSNorm) and "visual" in n]
    for m in norms:
        m.variance_epsilon = text
    yield
    for m in norms:
        m.variance_epsilon = 1e-6


@mistake("tanh GELU in the merger")
def gelu(ref):
    merger = ref.model.model.visual.merger.mlp
    with mock.patch.object(merger[1], "approximate", "tanh"):
        yield


def pixels_mistake(text, change):
    @mistake(text)
    def run(ref):
        right = ref.processor.image_processor.patchify

        def wrong(images, *args, **kwargs):
            patches, h, w = right(images, *args, **kwargs)
            return change(patches, h, w), h, w
        with mock.patch.object(ref.processor.image_processor, "patchify", wrong):
            yield


pixels_mistake("blue first", lambda p, h, w: p.unflatten(-1, (3, -1)).flip(-2).flatten(-2))
pixels_mistake("time and channels swapped in a patch",
               lambda p, h, w: p.unflatten(-1, (3, 2, 196)).transpose(-3, -2).flatten(-3))
pixels_mistake("patches not grouped two by two", lambda p, h, w: p.unflatten(
    1, (h // 2, w // 2, 2, 2)).permute(0, 1, 3, 2, 4, 5).flatten(1, 4))
pixels_mistake("normalised with mean and deviation 0.5",
               lambda p, h, w: (p * 0.2688 + 0.4486 - 0.5) / 0.5)


@mistake("Pillow's resize instead of torchvision's")
def pillow(ref):
    old = ref.processor.image_processor
    ref.processor.image_processor = Qwen2VLImageProcessorPil(size=dict(old.size))
    yield
    ref.processor.image_processor = old


@mistake("no attention mask between later and earlier tokens")
def acausal(ref):
    right = torch.nn.functional.scaled_dot_product_attention

    def wrong(*args, **kwargs):
        return right(*args, **dict(kwargs, is_causal=False))
    with mock.patch.object(torch.nn.functional, "scaled_dot_product_attention", wrong):
        yield


@mistake("heads of a group taken in turn")
def groups(ref):
    def wrong(x, n):
        return x.repeat(1, n, 1, 1)
    attention = ref.model.config._attn_implementation
    ref.model.set_attn_implementation("eager")
    with mock.patch.object(hf, "repeat_kv", wrong):
        yield
    ref.model.set_attn_implementation(attention)


def measure(ref, cases, root, mistake_now):
    """Largest movement of the best five log-probabilities over the cases, and the case."""
    moved = []
    for case in cases:
        want = case["logprobs"][0]["top"]
        with mistake_now(ref):
            logits = ref.logits(ref.inputs(case, root))
        lp = torch.log_softmax(logits, -1)
        moved.append((max(abs(lp[t["token_id"]].item() - t["logprob"]) for t in want), case["id"]))
    return max(moved)


@contextlib.contextmanager
def no_mistake(ref):
    yield


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--data", default=os.path.join(ROOT, "tests", "data", "reference"))
    a = ap.parse_args()
    missing = [m for m in NEEDED if importlib.util.find_spec(m) is None]
    if missing:
        print("skip: Python lacks " + ", ".join(missing))
        return 77
    tally, best = goldens.Tally(), {}
    for folder in goldens.checkpoint_folders(a.data):
        ref, name = Reference(folder), os.path.basename(folder)
        cases = goldens.load_expected(folder)
        still, where = measure(ref, cases, a.data, no_mistake)
        tally.note("%s: nothing changed" % name,
                   [] if still < 1e-4 else ["%s moved by %.1e" % (where, still)])
        for text, run in MISTAKES.items():
            moved, where = measure(ref, cases, a.data, run)
            best[text] = max(best.get(text, (0, "")), (moved, name + "/" + where))
        still, where = measure(ref, cases, a.data, no_mistake)
        tally.note("%s: everything undone" % name,
                   [] if still < 1e-4 else ["%s moved by %.1e" % (where, still)])
    for text, (moved, where) in sorted(best.items(), key=lambda x: x[1]):
        print("%8.4f  %-60s %s" % (moved, text, where))
        enough = MARGIN * goldens.TOLERANCE
        tally.note(text, [] if moved > enough else ["moves only %.4f, wanted %.4f" %
                                                    (moved, enough)])
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
