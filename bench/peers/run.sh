#!/bin/sh
# The full-width two-layer checkpoint through this program and its peers, in turns, on one prompt.
# Usage: bench/peers/run.sh [THREADS]; lines go to bench/results/peers-cpu.jsonl.
# The peers' packages are taken from .venv (bench/peers/README.md says how).
set -eu
python=${PYTHON:-.venv/bin/python}
model=${MODEL:-build/fullwidth}
if ! "$python" -c 'import torch, transformers, llama_cpp, gguf' 2>/dev/null; then
  echo "skip: peers need .venv with bench/peers/requirements.txt (see bench/peers/README.md)"
  exit 0
fi
[ -d "$model" ] || "$python" tests/reference/make_fullwidth.py "$model"
out=bench/results/peers-cpu.jsonl
mkdir -p bench/results
"$python" bench/peers/turns.py "$model" --threads "${1:-$(nproc)}" >"$out.part"
mv "$out.part" "$out"
