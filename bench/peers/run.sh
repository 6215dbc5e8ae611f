#!/bin/sh
# The full-width two-layer checkpoint, and the embedded one, through this program and its peers, in turns, on
# one prompt each.
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
rm -rf build/tiny && cp -r weights/tiny build/tiny # llama.cpp's file is written beside the checkpoint
engines=medvision,transformers,transformers_static,llama_cpp
"$python" bench/peers/turns.py "$model" --threads "${1:-$(nproc)}" --engines $engines >"$out.part"
"$python" bench/peers/turns.py build/tiny --threads "${1:-$(nproc)}" --engines $engines --rounds 6 >>"$out.part"
mv "$out.part" "$out"
