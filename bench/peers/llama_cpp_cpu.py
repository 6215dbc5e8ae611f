"""llama.cpp on the CPU in bf16: one JSON line with prefill, decode step and load times.

    python llama_cpp_cpu.py CHECKPOINT [--gguf FILE] [--threads N] [--tokens 700]

The GGUF file is written first unless it is there (decoder_gguf.py); that is not part of load_ms.
"""
import ctypes
import os

import llama_cpp as ll
import numpy as np

import decoder_gguf
import peer


@ll.llama_log_callback
def silent(level, text, user):
    pass


class Engine:
    def __init__(self, path, ids, threads, n_ctx):
        model = ll.llama_model_default_params()
        model.n_gpu_layers = 0
        self.model = ll.llama_model_load_from_file(path.encode(), model)
        if not self.model:
            raise SystemExit("llama.cpp cannot load %s" % path)
        c = ll.llama_context_default_params()
        c.n_ctx, c.n_batch, c.n_ubatch = n_ctx, len(ids), 512
        c.n_threads = c.n_threads_batch = threads
        self.context = ll.llama_init_from_model(self.model, c)
        if not self.context:
            raise SystemExit("llama.cpp cannot make a context for %s" % path)
        self.n_vocab = ll.llama_vocab_n_tokens(ll.llama_model_get_vocab(self.model))
        self.ids = ids

    def decode(self, ids):
        tokens = (ll.llama_token * len(ids))(*ids)
        status = ll.llama_decode(self.context, ll.llama_batch_get_one(tokens, len(ids)))
        if status != 0:
            raise SystemExit("llama_decode failed with %d" % status)
        logits = ll.llama_get_logits_ith(self.context, -1)
        return np.ctypeslib.as_array(logits, (self.n_vocab,))

    def prefill(self):
        ll.llama_memory_clear(ll.llama_get_memory(self.context), True)
        return self.decode(self.ids)

    def step(self, token):
        return self.decode([token])


def main():
    ap = peer.arguments(__doc__.split("\n")[0])
    ap.add_argument("--gguf", help="default: CHECKPOINT/decoder-bf16.gguf")
    ap.add_argument("--verbose", action="store_true", help="llama.cpp's own messages on stderr")
    a = ap.parse_args()
    path = a.gguf or os.path.join(a.model, "decoder-bf16.gguf")
    if not os.path.exists(path):
        decoder_gguf.write(a.model, path + ".part")
        os.replace(path + ".part", path)
    if not a.verbose:
        ll.llama_log_set(silent, ctypes.c_void_p(0))
    ll.llama_backend_init()
    n_ctx = a.tokens + a.steps + 16
    load_ms, engine = peer.timed(Engine, path, peer.prompt_ids(a), a.threads, n_ctx)
    peer.report("llama.cpp", "llama-cpp-python " + ll.__version__, a, load_ms,
                peer.measure(engine.prefill, engine.step, a))


if __name__ == "__main__":
    main()
