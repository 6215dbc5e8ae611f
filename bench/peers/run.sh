#!/bin/sh
# The full-width two-layer checkpoint through this program and its peers, one after the other, twice,
# on the same prompt. Usage: bench/peers/run.sh [THREADS]; lines go to bench/results/peers-cpu.jsonl.
# The peers' packages are taken from .venv (bench/peers/README.md says how).
set -eu
python=${PYTHON:-.venv/bin/python}
threads=${1:-$(nproc)}
model=${MODEL:-build/fullwidth}
if ! "$python" -c 'import torch, transformers, llama_cpp, gguf' 2>/dev/null; then
  echo "skip: peers need .venv with bench/peers/requirements.txt (see bench/peers/README.md)"
  exit 0
fi
[ -d "$model" ] || "$python" tests/reference/make_fullwidth.py "$model"
out=bench/results/peers-cpu.jsonl
ids=build/prompt_ids.json
mkdir -p bench/results
: >"$out.part"
for _ in 1 2; do
  build/medvision bench latency --model "$model" --device cpu --dtype bf16 --threads "$threads" \
    --input-len 700 --output-len 21 --write-ids "$ids" --json >>"$out.part"
  "$python" bench/peers/transformers_cpu.py "$model" --threads "$threads" --ids "$ids" >>"$out.part"
  "$python" bench/peers/llama_cpp_cpu.py "$model" --threads "$threads" --ids "$ids" 2>/dev/null >>"$out.part"
done
mv "$out.part" "$out"
