"""transformers on a card: made-up weights of the 7B's shapes in bf16, as those of `medvision bench
latency --random-weights 7b`. The vision tower on one picture of 504 x 504, the prefill of a prompt,
decode steps of several requests; eager, then decode steps compiled, as long as time is left.

    python transformers_cuda.py [--device cuda] [--tokens 1024] [--batch 1,8,32] [--seconds 120]

One JSON object on standard output. `--shape tiny --device cpu` is a rehearsal. Exit code 77: no torch
or no transformers here.
"""
import argparse
import json
import os
import sys
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

try:
    import torch
    import transformers
    from transformers import DynamicCache, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
    from transformers import StaticCache
except ImportError as error:
    print("skip: %s" % error)
    sys.exit(77)

SHAPES = {  # layers, width, MLP, heads, key heads, vocabulary; of the vision tower
    "7b": ((28, 3584, 18944, 28, 4, 152064), (32, 1280, 3420, 16)),
    "tiny": ((2, 128, 256, 4, 2, 1024), (8, 64, 96, 4)),
}
GRID, PATCH_VALUES = 36, 1176


def config_of(shape):
    (layers, d, ff, heads, kv, vocab), (depth, vd, vff, vheads) = SHAPES[shape]
    half = d // heads // 2
    quarter = half // 4
    section = [quarter, (half - quarter) // 2, half - quarter - (half - quarter) // 2]
    text = {"num_hidden_layers": layers, "hidden_size": d, "intermediate_size": ff,
            "num_attention_heads": heads, "num_key_value_heads": kv, "vocab_size": vocab,
            "rms_norm_eps": 1e-6, "tie_word_embeddings": False,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6,
                                "mrope_section": section}}
    vision = {"depth": depth, "hidden_size": vd, "intermediate_size": vff, "num_heads": vheads,
              "out_hidden_size": d, "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31]}
    return Qwen2_5_VLConfig(text_config=text, vision_config=vision)


class Bench:
    def __init__(self, a):
        self.a, self.rows, self.began = a, [], time.monotonic()
        config = config_of(a.shape)
        with torch.device(a.device):
            self.model = Qwen2_5_VLForConditionalGeneration._from_config(
                config, dtype=torch.bfloat16, attn_implementation="sdpa").eval()
        self.text = config.text_config
        self.loaded_s = time.monotonic() - self.began

    def has_time(self):
        return time.monotonic() - self.began < self.a.seconds

    def time(self, mode, what, function, batch=1, runs=10, warmup=2):
        """Adds the median of `runs` calls, in milliseconds."""
        wait = torch.cuda.synchronize if self.a.device != "cpu" else lambda: None
        ms = []
        for i in range(warmup + runs):
            if i > warmup and not self.has_time():
                break
            wait()
            begin = time.perf_counter()
            function()
            wait()
            if i >= warmup:
                ms.append(1e3 * (time.perf_counter() - begin))
        self.rows.append({"mode": mode, "what": what, "batch": batch,
                          "median_ms": sorted(ms)[len(ms) // 2], "min_ms": min(ms)})

    def vision(self):
        pixels = torch.randn(GRID * GRID, PATCH_VALUES, device=self.a.device, dtype=torch.bfloat16)
        grid = torch.tensor([[1, GRID, GRID]], device=self.a.device)
        self.time("eager", "vision", lambda: self.model.model.visual(pixels, grid_thw=grid))

    def forward(self, n_token, batch, cache, model):
        n = cache.get_seq_length()
        ids = torch.randint(0, 1000, (batch, n_token), device=self.a.device)
        positions = torch.arange(n, n + n_token, device=self.a.device).expand(3, batch, -1)
        out = model(input_ids=ids, position_ids=positions, past_key_values=cache, use_cache=True,
                    logits_to_keep=1)
        return out.logits[:, -1].argmax(-1)

    def prefill(self):
        self.time("eager", "prefill %d" % self.a.tokens,
                  lambda: self.forward(self.a.tokens, 1, DynamicCache(config=self.text), self.model))

    def decode(self, mode, model, batch, new_cache):
        cache = new_cache(batch)
        self.forward(self.a.tokens, batch, cache, self.model)
        self.time(mode, "decode", lambda: self.forward(1, batch, cache, model), batch, runs=30,
                  warmup=3)

    def static(self, batch):
        return StaticCache(config=self.text, max_cache_len=self.a.tokens + 64)

    def run(self):
        with torch.no_grad():
            self.vision()
            self.prefill()
            for batch in self.a.batch:
                if self.has_time():
                    self.decode("eager", self.model, batch,
                                lambda _: DynamicCache(config=self.text))
            if not self.has_time():
                return
            compiled = torch.compile(self.model, mode="reduce-overhead")
            try:
                self.decode("compiled", compiled, self.a.batch[0], self.static)
            except Exception as error:  # whatever the compiler meets is not our failure
                self.rows.append({"mode": "compiled", "what": "decode", "error": str(error)[:200]})


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--device", default="cuda")
    ap.add_argument("--shape", choices=SHAPES, default="7b")
    ap.add_argument("--tokens", type=int, default=1024)
    ap.add_argument("--batch", type=lambda s: [int(x) for x in s.split(",")], default=[1, 8, 32])
    ap.add_argument("--seconds", type=float, default=120, help="when to begin nothing more")
    a = ap.parse_args()
    if a.device != "cpu" and not torch.cuda.is_available():
        print("skip: torch %s sees no card" % torch.__version__)
        return 77
    bench = Bench(a)
    bench.run()
    print(json.dumps({"engine": "transformers", "version": transformers.__version__,
                      "torch": torch.__version__, "load_s": round(bench.loaded_s, 1),
                      "rows": bench.rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
