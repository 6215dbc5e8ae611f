#!/bin/sh
# Everything that is measured on a CPU, and the page of it (bench/RESULTS.md): `make bench`.
# MODEL (build/fullwidth: the 7B's widths, where bench/peers/run.sh has made it) is measured beside the embedded one.
set -eu
program=build/medvision results=bench/results
model=${MODEL:-build/fullwidth}
mkdir -p $results
python3 bench/results.py --machine cpu

bench() { # bench KIND OPTION...: adds lines to $results/KIND-cpu.jsonl.part
  kind=$1
  shift
  echo "medvision bench $kind $*"
  "$program" bench "$kind" "$@" --json >>"$results/$kind-cpu.jsonl.part"
}
finish() { mv "$results/$1-cpu.jsonl.part" "$results/$1-cpu.jsonl"; }

rm -f $results/*.part
bench/peers/run.sh "$@"
"$program" bench kernels --device cpu --json >$results/kernels-cpu.json
bench latency --device cpu --batch-size 1,2,4,8,16 --input-len 300 --output-len 64
bench latency --device cpu --workload bench/workloads/medvision.jsonl --runs 8
for drafts in "" --speculate; do # shellcheck disable=SC2086
  bench latency --device cpu --workload bench/workloads/medvision-forced.jsonl --runs 14 --warmup 5 $drafts
done
if [ -d "$model" ]; then
  bench latency --device cpu --model "$model" --batch-size 1,2,4 --input-len 300 --output-len 33 --runs 3
fi
finish latency
for workload in short medvision; do
  bench throughput --device cpu --workload "bench/workloads/$workload.jsonl" --num-prompts 16 --runs 3
done
finish throughput
bench throughput --gains --device cpu --workload bench/workloads/medvision-labels.jsonl --num-prompts 24
if [ -d "$model" ]; then
  bench throughput --gains --device cpu --model "$model" --workload bench/workloads/labels.jsonl --num-prompts 8
fi
mv $results/throughput-cpu.jsonl.part $results/gains-cpu.jsonl
bench startup --device cpu
[ ! -d "$model" ] || bench startup --device cpu --model "$model" --runs 3
finish startup
if "$program" bench serve --help >/dev/null 2>&1; then
  rm -f $results/serve-cpu.jsonl
  WORKLOAD=bench/workloads/short.jsonl PROMPTS=40 CLIENT_OPTIONS="--goodput ttft:500,tpot:50" \
    bench/peers/server.sh medvision weights/tiny 2 8 32 inf || [ $? = 77 ]
fi
python3 bench/results.py
