"""vLLM without its server: all requests of a file at once, one JSON line.

    python vllm_offline.py CHECKPOINT REQUESTS.jsonl [--engine-args '{"quantization": "fp8"}']

REQUESTS are bodies of chat completions, as `medvision bench serve --write-requests` writes them, so that every
engine gets the same prompts and pictures. Exit code 77: vLLM or a GPU is not here.
"""
import argparse
import json
import sys
import time


def skip(why):
    print("skip: %s" % why, file=sys.stderr)
    sys.exit(77)


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("model")
    ap.add_argument("requests")
    ap.add_argument("--runs", type=int, default=1)
    ap.add_argument("--label", default="vllm-offline")
    ap.add_argument("--engine-args", type=json.loads, default={}, help="more arguments of vllm.LLM, as JSON")
    a = ap.parse_args()
    try:
        import torch
        import vllm
    except ImportError as e:
        skip(e)
    if not torch.cuda.is_available():
        skip("no NVIDIA GPU")
    with open(a.requests, encoding="utf-8") as f:
        bodies = [json.loads(line) for line in f]
    llm = vllm.LLM(**dict({"model": a.model, "dtype": "bfloat16", "max_model_len": 4096, "max_num_seqs": 256,
                           "limit_mm_per_prompt": {"image": 1}, "enable_prefix_caching": True}, **a.engine_args))
    messages = [b["messages"] for b in bodies]
    params = [vllm.SamplingParams(temperature=0, max_tokens=b["max_tokens"], ignore_eos=True) for b in bodies]
    llm.chat([[{"role": "user", "content": "Hello"}]] * 4, params[0], use_tqdm=False)
    for _ in range(a.runs):
        llm.reset_prefix_cache()
        start = time.perf_counter()
        outputs = llm.chat(messages, params, use_tqdm=False)
        seconds = time.perf_counter() - start
        n_in = sum(len(o.prompt_token_ids) for o in outputs)
        n_out = sum(len(o.outputs[0].token_ids) for o in outputs)
        print(json.dumps({
            "bench": "throughput", "engine": a.label, "version": vllm.__version__, "model": a.model,
            "device": torch.cuda.get_device_name(), "dtype": "bf16", "workload": a.requests,
            "command": " ".join(sys.argv), "engine_args": a.engine_args, "num_prompts": len(bodies),
            "completed": len(outputs), "duration": seconds, "total_input_tokens": n_in,
            "total_output_tokens": n_out, "request_throughput": len(outputs) / seconds,
            "output_throughput": n_out / seconds, "total_token_throughput": (n_in + n_out) / seconds}), flush=True)


if __name__ == "__main__":
    main()
