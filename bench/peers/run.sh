#!/bin/sh
# The full-width two-layer checkpoint through the peers, when their packages are in .venv
# (bench/peers/README.md says how). Usage: bench/peers/run.sh [THREADS]
set -eu
python=.venv/bin/python
threads=${1:-$(nproc)}
if ! "$python" -c 'import torch, transformers, llama_cpp, gguf' 2>/dev/null; then
  echo "skip: peers need .venv with bench/peers/requirements.txt (see bench/peers/README.md)"
  exit 0
fi
[ -d build/fullwidth ] || "$python" tests/reference/make_fullwidth.py build/fullwidth
"$python" bench/peers/transformers_cpu.py build/fullwidth --threads "$threads"
"$python" bench/peers/llama_cpp_cpu.py build/fullwidth --threads "$threads"
