"""transformers on the CPU in bf16 with a static cache and a compiled decode step, as an engine of turns.py."""
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from transformers import Qwen2_5_VLForConditionalGeneration, StaticCache
from transformers.utils import logging

import peer


class Engine:
    def __init__(self, folder, context):
        self.model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            folder, dtype=torch.bfloat16).eval()
        self.cache = StaticCache(config=self.model.config.get_text_config(), max_cache_len=context)
        self.step_model = torch.compile(self.model.forward, dynamic=False)

    def forward(self, model, ids, at):
        places = torch.arange(at, at + len(ids))
        with torch.no_grad():
            out = model(input_ids=torch.tensor([ids]), position_ids=places.expand(3, 1, -1),
                        cache_position=places, past_key_values=self.cache, use_cache=True, logits_to_keep=1)
        self.length = at + len(ids)
        self.tokens.append(int(out.logits[0, -1].argmax()))

    def prefill(self, prompt):
        self.tokens = []
        self.cache.reset()
        self.forward(self.model, prompt["ids"], 0)

    def step(self):
        self.forward(self.step_model, self.tokens[-1:], self.length)

    def finish(self):
        return self.tokens


def main():
    a = peer.arguments(__doc__).parse_args()
    logging.disable_progress_bar()
    torch.set_num_threads(a.threads)
    version = "%s, torch %s, static cache, compiled" % (transformers.__version__, torch.__version__)
    peer.serve("transformers", version, lambda: Engine(a.model, a.context), a)


if __name__ == "__main__":
    main()
