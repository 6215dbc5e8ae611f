"""The tiny Qwen2.5-VL: its shape, and a forward pass for packed training sequences."""
import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

import data
import tokenizer

D_MODEL, D_FF, N_LAYER, N_HEAD, N_KV = 128, 384, 4, 4, 2
D_VISION, D_VISION_FF, N_VISION_LAYER, N_VISION_HEAD = 128, 256, 4, 4


def config():
    text = dict(vocab_size=tokenizer.VOCAB_SIZE, hidden_size=D_MODEL, intermediate_size=D_FF,
                num_hidden_layers=N_LAYER, num_attention_heads=N_HEAD, num_key_value_heads=N_KV,
                max_position_embeddings=32768, rms_norm_eps=1e-6, tie_word_embeddings=False,
                rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]},
                bos_token_id=256, eos_token_id=258, pad_token_id=256)
    vision = dict(depth=N_VISION_LAYER, hidden_size=D_VISION, intermediate_size=D_VISION_FF,
                  num_heads=N_VISION_HEAD, patch_size=14, temporal_patch_size=2, spatial_merge_size=2,
                  window_size=112, fullatt_block_indexes=[1, 3], out_hidden_size=D_MODEL, in_channels=3)
    cfg = Qwen2_5_VLConfig(text_config=text, vision_config=vision, image_token_id=262, video_token_id=263,
                           vision_start_token_id=259, vision_end_token_id=260, tie_word_embeddings=False)
    cfg._attn_implementation = "sdpa"
    return cfg


def new(seed):
    torch.manual_seed(seed)
    return Qwen2_5_VLForConditionalGeneration(config()).float()


def mask(seg, shared):
    """[B, 1, L, L]: causal, within a segment; branches that share it also see segment 0."""
    causal = torch.ones(seg.shape[1], seg.shape[1], dtype=torch.bool).tril()
    same = seg[:, :, None] == seg[:, None, :]
    prefix = shared[:, :, None] & (seg == 0)[:, None, :]
    return ((same | prefix) & causal)[:, None]


def losses(net, batch):
    """Cross entropy of the learned tokens and their weights, flat, with labels."""
    b = len(batch["ids"])
    grid = torch.tensor([[1, data.GRID, data.GRID]] * b)
    vision = net.model.visual(batch["pixels"], grid_thw=grid)
    vision = getattr(vision, "pooler_output", vision).view(b, data.N_IMAGE, -1)
    x = net.model.language_model.embed_tokens(batch["ids"])
    at = batch["ids"] == data.IMAGE
    order = (at.cumsum(1) - 1).clamp(min=0) % data.N_IMAGE
    x = torch.where(at[..., None], vision.gather(1, order[..., None].expand(-1, -1, x.shape[-1])), x)
    h = net.model.language_model(inputs_embeds=x, position_ids=batch["pos"].permute(1, 0, 2),
                                 attention_mask={"full_attention": mask(batch["seg"], batch["shared"])},
                                 use_cache=False).last_hidden_state
    keep = batch["weight"] > 0
    logits = net.lm_head(h[keep])
    labels = batch["label"][keep]
    return torch.nn.functional.cross_entropy(logits, labels, reduction="none"), batch["weight"][keep], labels, logits
