#!/bin/sh
# Everything that is measured on a CPU, and the page of it (bench/RESULTS.md): `make bench`.
set -eu
mkdir -p bench/results
python3 bench/results.py --machine cpu
build/medvision bench kernels --device cpu --json >bench/results/kernels-cpu.json
: >bench/results/throughput-cpu.jsonl
for workload in short medvision; do
  build/medvision bench throughput --device cpu --workload "bench/workloads/$workload.jsonl" \
    --num-prompts 16 --json >>bench/results/throughput-cpu.jsonl
done
bench/peers/run.sh "$@"
python3 bench/results.py
