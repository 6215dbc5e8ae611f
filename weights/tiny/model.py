"""The tiny Qwen2.5-VL: its shape, and a forward pass for packed training sequences."""
import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

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
    net = Qwen2_5_VLForConditionalGeneration(config()).float()
    net.model.language_model.config._attn_implementation = "chunked"
    return net


def chunked_attention(module, q, k, v, attention_mask, scaling=None, **_):
    """sdpa in four causal chunks: later keys are masked anyway, so they need not be multiplied."""
    groups, n = q.shape[1] // k.shape[1], q.shape[2]
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    step, out = -(-n // 4), []
    for a in range(0, n, step):
        b = min(n, a + step)
        out.append(torch.nn.functional.scaled_dot_product_attention(
            q[:, :, a:b], k[:, :, :b], v[:, :, :b], attention_mask[:, :, a:b, :b], scale=scaling))
    return torch.cat(out, 2).transpose(1, 2), None


ALL_ATTENTION_FUNCTIONS.register("chunked", chunked_attention)


def mask(seg, shared):
    """[B, 1, L, L]: causal, within a segment; branches that share it also see segment 0."""
    causal = torch.ones(seg.shape[1], seg.shape[1], dtype=torch.bool).tril()
    same = seg[:, :, None] == seg[:, None, :]
    prefix = shared[:, :, None] & (seg == 0)[:, None, :]
    return ((same | prefix) & causal)[:, None]


class Helper(torch.nn.Module):
    """Training only: reads every object's place and shape linearly, from the image tokens (`eyes`) and,
    half-way up the decoder, from each word that names the object (`words`).

    Without it both learn through a chain of digits, which takes an hour to begin; with it the tower
    knows where things are within minutes, and the decoder to look there.
    """

    def __init__(self):
        super().__init__()
        self.n = len(data.OBJECTS)
        self.out = torch.nn.Linear(D_MODEL, self.n * 6 + 2)
        self.word = torch.nn.Linear(D_MODEL, 5)

    def words(self, middle, batch):
        """The named object's centre and shape, from the hidden state of its name."""
        names = torch.tensor(data.OBJECT_IDS)
        row, at, k = ((batch["ids"][..., None] == names) & batch["shared"][..., None]).nonzero(as_tuple=True)
        truth = batch["objects"][row, k]
        scale = torch.tensor([4.0, 4.0, 8.0, 8.0, 1.0])
        wrong = (self.word(middle[row, at]) - truth[:, 1:] * scale).abs()
        return wrong[truth[:, 0] > 0].mean()

    def eyes(self, vision, objects):
        g = data.GRID // data.MERGE
        y = self.out(vision)
        what, own = y[..., :-2].unflatten(-1, (self.n, 6)), y[..., -2:]
        line = torch.arange(g) / (g - 1) * 2 - 1
        place = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).reshape(-1, 2)
        here = (own - place).abs().mean()
        present = objects[..., 0] > 0
        at = (objects[..., 1:3] * g).clamp(0, g - 0.001)
        cell = at.floor().long()
        index = cell[..., 1] * g + cell[..., 0]
        heat = torch.nn.functional.cross_entropy(
            what[..., 0].transpose(1, 2)[present], index[present])
        b, k = present.nonzero(as_tuple=True)
        said = what[b, index[present], k, 1:]
        truth = torch.cat([at - cell - 0.5, objects[..., 3:5] * g, objects[..., 5:]], -1)[present]
        return heat + here + 2 * (said - truth).abs().mean()


def losses(net, batch):
    """Cross entropy of the learned tokens and their weights, labels, logits; image tokens, middle states."""
    b = len(batch["ids"])
    grid = torch.tensor([[1, data.GRID, data.GRID]] * b)
    vision = net.model.visual(batch["pixels"], grid_thw=grid)
    vision = getattr(vision, "pooler_output", vision).view(b, data.N_IMAGE, -1)
    x = net.model.language_model.embed_tokens(batch["ids"])
    at = batch["ids"] == data.IMAGE
    order = (at.cumsum(1) - 1).clamp(min=0) % data.N_IMAGE
    x = torch.where(at[..., None], vision.gather(1, order[..., None].expand(-1, -1, x.shape[-1])), x)
    middle = []
    hook = net.model.language_model.layers[1].register_forward_hook(
        lambda _m, _i, out: middle.append(out[0] if isinstance(out, tuple) else out))
    h = net.model.language_model(inputs_embeds=x, position_ids=batch["pos"].permute(1, 0, 2),
                                 attention_mask={"full_attention": mask(batch["seg"], batch["shared"])},
                                 use_cache=False).last_hidden_state
    hook.remove()
    keep = batch["weight"] > 0
    logits = net.lm_head(h[keep])
    labels = batch["label"][keep]
    return torch.nn.functional.cross_entropy(logits, labels, reduction="none"), batch["weight"][keep], labels, logits, vision, middle[0]
