"""transformers on the CPU in bf16, as an engine of turns.py."""
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from transformers import Qwen2_5_VLForConditionalGeneration
from transformers.utils import logging

import peer


class Engine:
    def __init__(self, folder):
        self.model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            folder, dtype=torch.bfloat16).eval()

    def forward(self, ids, cache):
        n = 0 if cache is None else cache.get_seq_length()
        positions = torch.arange(n, n + len(ids)).expand(3, 1, -1)
        with torch.no_grad():
            out = self.model(input_ids=torch.tensor([ids]), position_ids=positions,
                             past_key_values=cache, use_cache=True, logits_to_keep=1)
        self.cache = out.past_key_values
        self.tokens.append(int(out.logits[0, -1].argmax()))

    def prefill(self, prompt):
        self.tokens = []
        self.forward(prompt["ids"], None)

    def step(self):
        self.forward(self.tokens[-1:], self.cache)

    def finish(self):
        return self.tokens


def main():
    a = peer.arguments(__doc__).parse_args()
    logging.disable_progress_bar()
    torch.set_num_threads(a.threads)
    version = "%s, torch %s" % (transformers.__version__, torch.__version__)
    peer.serve("transformers", version, lambda: Engine(a.model), a)


if __name__ == "__main__":
    main()
