"""Asks questions without a picture, all at once: ask.py LIBRARY MODEL_DIR QUESTION...

The structures are those of runtime/medvision.h, field by field.
"""
import ctypes as c
import sys


class Str(c.Structure):
    _fields_ = [("ptr", c.c_char_p), ("len", c.c_size_t)]


class Buf(c.Structure):
    _fields_ = [("ptr", c.c_char_p), ("len", c.c_size_t), ("cap", c.c_size_t), ("failed", c.c_int)]


class Error(c.Structure):
    _fields_ = [("code", c.c_int), ("file", c.c_char_p), ("line", c.c_int), ("msg", c.c_char * 2048)]


class ModelOptions(c.Structure):
    _fields_ = [("dir", c.c_char_p), ("random", c.c_char_p), ("device", c.c_char_p), ("precision", c.c_int),
                ("n_thread", c.c_int), ("ranges", c.c_int), ("profile", c.c_int),
                ("on_progress", c.c_void_p), ("user", c.c_void_p)]


class Sampling(c.Structure):
    _fields_ = [("temperature", c.c_float), ("top_p", c.c_float), ("top_k", c.c_int),
                ("repetition_penalty", c.c_float), ("seed", c.c_uint64)]


class Request(c.Structure):
    _fields_ = [("system", Str), ("prompt", Str), ("images", c.c_void_p), ("n_image", c.c_int),
                ("image_order", c.c_int), ("messages", c.c_void_p), ("n_message", c.c_size_t),
                ("is_raw", c.c_int), ("resampler", c.c_int), ("family", Str),
                ("max_new_tokens", c.c_int), ("sampling", Sampling),
                ("use_generation_config", c.c_int), ("ignore_eos", c.c_int), ("stop", c.c_void_p),
                ("n_stop", c.c_int), ("n_logprob", c.c_int), ("on_text", c.c_void_p),
                ("on_progress", c.c_void_p), ("user", c.c_void_p), ("dump_dir", c.c_char_p)]


class Result(c.Structure):
    _fields_ = [("status", c.c_int), ("prompt_ids", c.POINTER(c.c_int32)), ("n_prompt", c.c_size_t),
                ("token_ids", c.POINTER(c.c_int32)), ("n_token", c.c_size_t), ("text", Buf),
                ("finish", c.c_int), ("n_image_token", c.c_size_t), ("n_cached_token", c.c_size_t),
                ("n_cached_image", c.c_size_t), ("n_step", c.c_size_t), ("n_drafted", c.c_size_t),
                ("n_accepted", c.c_size_t), ("rest", c.c_byte * 256)]


def check(status, error):
    if status:
        sys.exit(error.msg.decode())


def main(library, model_dir, *questions):
    mv = c.CDLL(library)
    error, model, engine = Error(), c.c_void_p(), c.c_void_p()
    check(mv.mv_model_open(c.byref(model), c.byref(ModelOptions(dir=model_dir.encode())),
                           c.byref(error)), error)
    check(mv.mv_engine_new(c.byref(engine), model, None, c.byref(error)), error)
    asked = {}
    for question in questions:
        request, ticket = Request(), c.c_uint64()
        mv.mv_request_init(c.byref(request))
        request.prompt = Str(question.encode(), len(question.encode()))
        request.max_new_tokens = 16
        check(mv.mv_engine_submit(engine, c.byref(request), c.byref(ticket), c.byref(error)), error)
        asked[ticket.value] = question
    left = c.c_size_t(1)
    while left.value:
        check(mv.mv_engine_step(engine, c.byref(left), c.byref(error)), error)
    answers = {}
    while asked:
        ticket, result = c.c_uint64(), Result()
        mv.mv_engine_poll(engine, c.byref(ticket), c.byref(result), c.byref(error))
        check(result.status, error)
        answers[asked.pop(ticket.value)] = result.text.ptr.decode()
        mv.mv_result_free(c.byref(result))
    for question in questions:
        print("%s -> %s" % (question, answers[question]))
    mv.mv_engine_free(engine)
    mv.mv_model_close(model)


if __name__ == "__main__":
    main(*sys.argv[1:])
