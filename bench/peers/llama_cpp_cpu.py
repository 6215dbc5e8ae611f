"""llama.cpp on the CPU in bf16, as an engine of turns.py.

The GGUF file CHECKPOINT/decoder-bf16.gguf is written first unless it is there (decoder_gguf.py).
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
    def __init__(self, path, threads, n_ctx):
        model = ll.llama_model_default_params()
        model.n_gpu_layers = 0
        self.model = ll.llama_model_load_from_file(path.encode(), model)
        if not self.model:
            raise SystemExit("llama.cpp cannot load %s" % path)
        c = ll.llama_context_default_params()
        c.n_ctx, c.n_batch, c.n_ubatch = n_ctx, n_ctx, 512
        c.n_threads = c.n_threads_batch = threads
        self.context = ll.llama_init_from_model(self.model, c)
        if not self.context:
            raise SystemExit("llama.cpp cannot make a context for %s" % path)
        self.n_vocab = ll.llama_vocab_n_tokens(ll.llama_model_get_vocab(self.model))

    def decode(self, ids):
        tokens = (ll.llama_token * len(ids))(*ids)
        status = ll.llama_decode(self.context, ll.llama_batch_get_one(tokens, len(ids)))
        if status != 0:
            raise SystemExit("llama_decode failed with %d" % status)
        logits = ll.llama_get_logits_ith(self.context, -1)
        self.tokens.append(int(np.ctypeslib.as_array(logits, (self.n_vocab,)).argmax()))

    def prefill(self, prompt):
        ll.llama_memory_clear(ll.llama_get_memory(self.context), True)
        self.tokens = []
        self.decode(prompt["ids"])

    def step(self):
        self.decode(self.tokens[-1:])

    def finish(self):
        return self.tokens


def main():
    a = peer.arguments(__doc__.split("\n")[0]).parse_args()
    path = os.path.join(a.model, "decoder-bf16.gguf")
    if not os.path.exists(path):
        decoder_gguf.write(a.model, path + ".part")
        os.replace(path + ".part", path)
    ll.llama_log_set(silent, ctypes.c_void_p(0))
    ll.llama_backend_init()
    peer.serve("llama.cpp", "llama-cpp-python " + ll.__version__,
               lambda: Engine(path, a.threads, a.context), a)


if __name__ == "__main__":
    main()
