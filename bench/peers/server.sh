#!/bin/sh
# One engine's server under the same load as every other's: starts it, asks it with `medvision bench serve`
# at each rate (requests a second), stops it. Lines are added to bench/results/serve-MACHINE.jsonl.
#
#   bench/peers/server.sh ENGINE MODEL [RATE...]          (inf)
#
# ENGINE  medvision, vllm, vllm-encoder-graphs, vllm-ngram, vllm-suffix, vllm-fp8, sglang, sglang-ngram,
#         llama-cpp-cpu, llama-cpp-cuda
# MODEL   checkpoint folder; for llama.cpp a folder with model.gguf and, for pictures, mmproj.gguf
#
# PROGRAM (build/medvision), PYTHON (python3) of the engine, MACHINE (cpu), PORT (8400), WORKLOAD
# (bench/workloads/medvision.jsonl), PROMPTS (200), SERVER_OPTIONS and CLIENT_OPTIONS (more of them).
# Exit code 77: the engine or its device is not here.
set -eu
engine=${1:?which engine} model=${2:?which model}
shift 2
[ $# -gt 0 ] || set -- inf
program=${PROGRAM:-build/medvision} python=${PYTHON:-python3} port=${PORT:-8400}
out=bench/results/serve-${MACHINE:-cpu}.jsonl

skip() {
  echo "skip: $engine: $1" >&2
  exit 77
}
needs_gpu() { nvidia-smi -L >/dev/null 2>&1 || skip "no NVIDIA GPU"; }
needs_package() { "$python" -c "import $1" 2>/dev/null || skip "$python has no package $1 (bench/peers/README.md)"; }

# What all GPU engines are told alike: bf16, one picture a request, contexts of the workloads, caching on.
vllm_serve() {
  command -v vllm >/dev/null || skip "no vllm in the path (bench/peers/README.md)"
  needs_gpu
  set -- vllm serve "$model" --port "$port" --dtype bfloat16 --max-model-len 4096 \
    --max-num-seqs 256 --limit-mm-per-prompt '{"image": 1}' --enable-prefix-caching "$@"
  launch "$@"
}
sglang_serve() {
  needs_package sglang
  needs_gpu
  launch "$python" -m sglang.launch_server --model-path "$model" --port "$port" --dtype bfloat16 \
    --context-length 4096 --max-running-requests 256 --enable-multimodal "$@"
}
llama_serve() {
  command -v llama-server >/dev/null || skip "no llama-server in the path"
  [ -f "$model/model.gguf" ] || skip "$model has no model.gguf (bench/peers/README.md)"
  [ ! -f "$model/mmproj.gguf" ] || set -- "$@" --mmproj "$model/mmproj.gguf"
  launch llama-server -m "$model/model.gguf" --port "$port" --ctx-size 65536 --parallel 16 --flash-attn on "$@"
}
launch() { # shellcheck disable=SC2086
  "$@" ${SERVER_OPTIONS:-} >build/peer-server.log 2>&1 &
  server=$!
  trap 'kill $server 2>/dev/null; wait $server 2>/dev/null || true' EXIT INT TERM
}

mkdir -p build bench/results
case $engine in
  medvision) launch "$program" serve --model "$model" --port "$port" ;;
  vllm) vllm_serve ;;
  vllm-encoder-graphs) vllm_serve --compilation-config '{"cudagraph_mm_encoder": true}' ;;
  vllm-ngram) vllm_serve --speculative-config '{"method": "ngram", "num_speculative_tokens": 5, "prompt_lookup_max": 4}' ;;
  vllm-suffix) vllm_serve --speculative-config \
    '{"method": "suffix", "num_speculative_tokens": 8, "enable_adaptive_verification": true}' ;;
  vllm-fp8) vllm_serve --quantization fp8 ;;
  sglang) sglang_serve ;;
  sglang-ngram) sglang_serve --speculative-algorithm NGRAM --speculative-num-draft-tokens 16 ;;
  llama-cpp-cpu) llama_serve --n-gpu-layers 0 ;;
  llama-cpp-cuda) needs_gpu && llama_serve --n-gpu-layers 999 ;;
  *) echo "no engine $engine (see the head of $0)" >&2; exit 2 ;;
esac
for rate in "$@"; do # shellcheck disable=SC2086
  "$program" bench serve --base-url "http://127.0.0.1:$port" --label "$engine" --ready-timeout 1200 \
    --workload "${WORKLOAD:-bench/workloads/medvision.jsonl}" --num-prompts "${PROMPTS:-200}" \
    --request-rate "$rate" --json ${CLIENT_OPTIONS:-} >>"$out"
done
