"""libmedvision on the CPU in bf16, as an engine of turns.py: one request at a time, through the
public interface, without cached prefixes and drafts."""
import ctypes as c
import os
import sys

import peer

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "examples"))
import ask  # noqa: E402 (the structures of runtime/medvision.h)

BF16 = 1
LIBRARY = os.path.join(HERE, "..", "..", "build", "libmedvision.so")


class EngineOptions(c.Structure):
    _fields_ = [("max_tokens", c.c_size_t), ("kv_tokens", c.c_size_t), ("max_batch", c.c_int),
                ("max_rows", c.c_int), ("image_tokens", c.c_size_t), ("max_draft", c.c_int),
                ("spare_rows", c.c_int), ("no_prefix_cache", c.c_int), ("no_vision_cache", c.c_int),
                ("no_speculation", c.c_int), ("any_order", c.c_int)]


class Engine:
    def __init__(self, a):
        self.mv = c.CDLL(a.library)
        self.error, self.engine, self.running = ask.Error(), c.c_void_p(), False
        model, ticket = c.c_void_p(), c.c_uint64
        self.call("mv_model_open", c.byref(model), c.byref(ask.ModelOptions(
            dir=a.model.encode(), device=b"cpu", precision=BF16, n_thread=a.threads)))
        self.call("mv_engine_new", c.byref(self.engine), model, c.byref(EngineOptions(
            max_tokens=a.context, kv_tokens=a.context, max_batch=1, no_prefix_cache=1,
            no_speculation=1)))
        self.ticket = ticket()

    def call(self, name, *arguments):
        ask.check(getattr(self.mv, name)(*arguments, c.byref(self.error)), self.error)

    def step(self):
        self.call("mv_engine_step", self.engine, c.byref(c.c_size_t()))

    def prefill(self, prompt):
        """The submission, tokenizing included, and the first step. Whatever ran before ends."""
        if self.running:
            self.finish()
        request, text = ask.Request(), prompt["text"].encode()
        self.mv.mv_request_init(c.byref(request))
        request.prompt, request.is_raw, request.ignore_eos = ask.Str(text, len(text)), 1, 1
        request.max_new_tokens = 256
        self.call("mv_engine_submit", self.engine, c.byref(request), c.byref(self.ticket))
        self.running = True
        self.step()

    def finish(self):
        self.mv.mv_engine_cancel(self.engine, self.ticket)
        self.step()
        result = ask.Result()
        self.mv.mv_engine_poll(self.engine, c.byref(self.ticket), c.byref(result), c.byref(self.error))
        ask.check(result.status, self.error)
        if result.n_cached_token or result.n_drafted:
            sys.exit("a prefix was cached or tokens were drafted: that is not what the peers do")
        tokens = result.token_ids[:result.n_token]
        self.mv.mv_result_free(c.byref(result))
        self.running = False
        return tokens


def main():
    ap = peer.arguments("libmedvision on the CPU in bf16, as an engine of turns.py.")
    ap.add_argument("--library", default=LIBRARY)
    ap.add_argument("--version", default="")
    a = ap.parse_args()
    peer.serve("medvision", a.version, lambda: Engine(a), a)


if __name__ == "__main__":
    main()
