"""transformers on the CPU in bf16: one JSON line with prefill, decode step and load times.

    python transformers_cpu.py CHECKPOINT [--threads N] [--tokens 700]
"""
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from transformers import Qwen2_5_VLForConditionalGeneration
from transformers.utils import logging

import peer


class Engine:
    def __init__(self, folder, ids):
        self.model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            folder, dtype=torch.bfloat16).eval()
        self.ids = torch.tensor([ids])
        self.cache = None

    def forward(self, ids, cache):
        n = 0 if cache is None else cache.get_seq_length()
        positions = torch.arange(n, n + ids.shape[1]).expand(3, 1, -1)
        with torch.no_grad():
            out = self.model(input_ids=ids, position_ids=positions, past_key_values=cache,
                             use_cache=True, logits_to_keep=1)
        self.cache = out.past_key_values
        return out.logits[0, -1]

    def prefill(self):
        return self.forward(self.ids, None)

    def step(self, token):
        return self.forward(torch.tensor([[token]]), self.cache)


def main():
    a = peer.arguments(__doc__.split("\n")[0]).parse_args()
    logging.disable_progress_bar()
    torch.set_num_threads(a.threads)
    load_ms, engine = peer.timed(Engine, a.model, peer.prompt_ids(a))
    version = "%s, torch %s" % (transformers.__version__, torch.__version__)
    peer.report("transformers", version, a, load_ms, peer.measure(engine.prefill, engine.step, a))


if __name__ == "__main__":
    main()
