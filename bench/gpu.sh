#!/bin/bash
# Everything that needs a card, in one call of under nine minutes: tests, the model beside the CPU,
# every operation against the card's limits, latency and throughput of 7B shapes, the same work
# through transformers where PyTorch is here, the sanitizer, the card's own limits.
#
#   bench/gpu.sh            builds where there is no build yet, then runs
#   bench/gpu.sh build      only builds, with every library that is no part of a system beside it: the
#                           source tree and its build folder then run on a machine that has a card and
#                           neither compiler nor packages
#
#   BUILD=build-gpu         the build folder          ARCH="80-real;90a-real;100"   or `card`
#   MODEL=DIR               a 7B checkpoint for the latency; else its weights are made up
#   RESULTS=bench/results   where the JSON goes       TOTAL=530   seconds until all is over
#   PYTHON=python3          the one that has PyTorch and transformers, if any has
#   PROBE=../shared/gpu-probe   a folder whose run.sh measures the card into $OUT, if there is one
#   DEVICE=cuda             cpu: a rehearsal of the script itself, without a card
#
# Exit code: 0 all is well, 1 something failed, 77 no card.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build-gpu} DEVICE=${DEVICE:-cuda} RESULTS=${RESULTS:-bench/results}
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
TOTAL=${TOTAL:-530} failed=0 table=()
PYTHON=${PYTHON:-python3} PROBE=${PROBE:-../shared/gpu-probe}

say() { printf '\n== %s\n' "$*"; }
note() { table+=("$(printf '%-34s %s' "$1" "$2")"); }
# part NAME LIMIT_SECONDS COMMAND...: its output into $RUN/NAME.txt, its outcome into the table. No
# part goes on when the time is over, and none begins ten seconds before.
part() {
  local name=$1 limit=$2 began=$SECONDS left=$((TOTAL - SECONDS)) code
  shift 2
  if [ "$left" -lt 10 ]; then note "$name" "left out: no time" && return 1; fi
  [ "$limit" -lt "$left" ] || limit=$left
  timeout -k 5 "$limit" "$@" >"$RUN/$name.txt" 2>&1
  code=$?
  case $code in
    0) note "$name" "passed in $((SECONDS - began)) s" ;;
    77) note "$name" "skipped: $(grep -m 1 skip "$RUN/$name.txt")" ;;
    124) note "$name" "FAILED: longer than $limit s" failed=1 ;;
    *) note "$name" "FAILED with $code: $(tail -n 1 "$RUN/$name.txt" | cut -c 1-120)" ;;
  esac
  case $code in 0 | 77) ;; *) failed=1 && tail -n 15 "$RUN/$name.txt" ;; esac
  return $code
}

build() {
  say "building $BUILD"
  cmake -S . -B "$BUILD" -DMV_CUDA=$([ "$DEVICE" = cpu ] && echo OFF || echo ON) -DMV_SIM=OFF \
    -DMV_DICOM=OFF -DMV_CLIENT=OFF -DMV_SERVER=OFF -DBUILD_TESTING=ON -DMV_CUDA_ARCHITECTURES="${ARCH:-80-real;90a-real;100}" ${CMAKE_ARGS:-} >"$BUILD.log" 2>&1 &&
    cmake --build "$BUILD" --parallel "$(nproc)" --target medvision gpu_tests >>"$BUILD.log" 2>&1 || {
    tail -n 30 "$BUILD.log"
    return 1
  }
  rm -f "$BUILD.log"
  command -v strip >/dev/null && strip "$BUILD"/medvision "$BUILD"/tests/test_gpu_* 2>/dev/null # to be carried: small
  # Of the system are: libc's, the compiler's, the driver's. cuBLASLt comes with every toolkit and
  # with PyTorch, and is as large as the rest of this together by far.
  mkdir -p "$BUILD/lib"
  ldd "$BUILD"/medvision "$BUILD"/tests/test_gpu_* 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' |
    sort -u | grep -vE '/(lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+|cuda|cublas|cublasLt)|ld-linux[^/]*)\.so' |
    xargs -r -I{} cp -L {} "$BUILD/lib/"
  du -ch "$BUILD"/lib "$BUILD"/medvision "$BUILD"/tests/test_gpu_* 2>/dev/null | sed 's/^/to carry: /'
  return 0
}

# cuBLASLt where the toolkit, pip or conda put it.
library_path() {
  local path=$BUILD/lib folder
  for folder in ${CUDA_HOME:-/usr/local/cuda}/lib64 ${CUDA_HOME:-/usr/local/cuda}/lib \
    $(python3 -c 'import os, site, sys
for base in site.getsitepackages() + [site.getusersitepackages()]:
    top = os.path.join(base, "nvidia")
    for name in sorted(os.listdir(top)) if os.path.isdir(top) else []:
        print(os.path.join(top, name, "lib"))' 2>/dev/null); do
    ls "$folder"/libcublasLt.so* >/dev/null 2>&1 && path=$path:$folder
  done
  echo "$path"
}

# The sample images with the embedded checkpoint, in fp32: the same words as on the CPU.
answers() { # device dtype
  printf '#!/bin/sh\nexec "%s" "$@" --device %s --dtype %s\n' "$BUILD/medvision" "$1" "$2" >"$RUN/program"
  chmod +x "$RUN/program"
  tests/demo.sh "$RUN/program" "$RUN/overlays" 2>&1 | grep -v "^Overlays"
}
compare_answers() {
  answers cpu fp32 >"$RUN/answers-cpu.txt" || return 1
  answers "$DEVICE" fp32 >"$RUN/answers-gpu.txt" || return 1
  diff "$RUN/answers-cpu.txt" "$RUN/answers-gpu.txt" || return 1
  answers "$DEVICE" bf16 >"$RUN/answers-bf16.txt"
  echo "bf16: $(diff "$RUN/answers-cpu.txt" "$RUN/answers-bf16.txt" | grep -c '^>') lines differ of $(wc -l <"$RUN/answers-cpu.txt")"
}

sanitize() { # tool test
  command -v compute-sanitizer >/dev/null || { echo "skip: no compute-sanitizer here" && return 77; }
  compute-sanitizer --tool "$1" --error-exitcode 9 --print-limit 5 "$BUILD/tests/$2"
  local code=$?
  if grep -q "Device not supported" "$RUN/$1-$2.txt"; then echo "skip: it refuses this device" && return 77; fi
  return $code
}
peer() { # seconds: the same work through transformers
  local size="--seconds $1"
  [ "$DEVICE" = cuda ] || size="$size --device cpu --shape tiny --tokens 32 --batch 1"
  command -v "$PYTHON" >/dev/null || { echo "skip: no $PYTHON here" && return 77; }
  LD_LIBRARY_PATH=$OWN_PATH "$PYTHON" bench/peers/transformers_cuda.py $size >"$RUN/peer.out" # with its own libraries
  local code=$?
  if [ $code = 0 ]; then mv "$RUN/peer.out" "$RUN/transformers.json"; else cat "$RUN/peer.out"; fi
  return $code
}

probe() { # what the card itself can do; its table is kept beside the results
  [ -x "$PROBE/run.sh" ] || { echo "skip: no $PROBE here" && return 77; }
  command -v nvcc >/dev/null || { echo "skip: no nvcc here, which $PROBE wants" && return 77; }
  OUT=$RUN/probe "$PROBE/run.sh"
}
export -f answers compare_answers sanitize peer probe
export BUILD DEVICE PYTHON PROBE

[ "${1:-run}" = run ] || { build && exit 0 || exit 1; }
if [ "$DEVICE" = cuda ] && ! { [ -e /dev/nvidiactl ] && nvidia-smi >/dev/null 2>&1; }; then
  echo "skip: no NVIDIA card or no driver here (nvidia-smi); bench/gpu.sh build prepares a folder to copy"
  exit 77
fi
if [ ! -x "$BUILD/medvision" ]; then build || exit 1; fi
RUN=$BUILD/run && export RUN
mkdir -p "$RUN" "$RESULTS" && rm -f "$RUN"/*.json
export OWN_PATH=${LD_LIBRARY_PATH:-}
[ -n "${XDG_CACHE_HOME:-}${HOME:-}" ] || export XDG_CACHE_HOME=$RUN/cache # or every process times products anew
LD_LIBRARY_PATH=$(library_path)${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} && export LD_LIBRARY_PATH
export CK_FORK=no CK_DEFAULT_TIMEOUT=600
when=$(date -u +%Y-%m-%dT%H:%M:%SZ) card=$DEVICE
if [ "$DEVICE" = cuda ]; then
  # Without this (or persistence mode) the driver starts the card anew for every process: seconds each.
  for node in /dev/nvidia[0-9]*; do { exec {held}<"$node"; } 2>/dev/null || true; done
  card=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1)
  nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,power.limit,temperature.gpu --format=csv
fi

say "tests on the card"
for test in "$BUILD"/tests/test_gpu_*; do
  [ -x "$test" ] && part "$(basename "$test")" 120 "$test"
done
say "the model beside the CPU"
part model 120 bash -c compare_answers && tail -n 1 "$RUN/model.txt"

say "operations"
part kernels 150 sh -c "'$BUILD/medvision' bench kernels --device $DEVICE ${QUICK:+--quick} --json >'$RUN/kernels.json'"

say "latency, throughput"
for dtype in bf16 fp32; do
  part "latency-tiny-$dtype" 60 sh -c "'$BUILD/medvision' bench latency --device $DEVICE --dtype $dtype --json >'$RUN/latency-tiny-$dtype.json'"
done
part throughput-tiny 60 sh -c "'$BUILD/medvision' bench throughput --num-prompts $([ -n "${QUICK:-}" ] && echo 2 || echo 64) --device $DEVICE --json >'$RUN/throughput-tiny.json'"
if [ "$DEVICE" = cuda ]; then
  weights="--random-weights 7b" && [ -z "${MODEL:-}" ] || weights="--model '$MODEL'"
  seven() { # name limit bench options...: one bench of the 7B's shapes
    local name=$1 limit=$2
    shift 2
    part "$name" "$limit" sh -c "'$BUILD/medvision' bench $* $weights --device cuda --dtype bf16 --json >'$RUN/$name.json'"
  }
  seven latency-7b 100 latency --batch-size 1,8,32 --input-len 1024 --output-len 64 --runs 3
  seven latency-7b-picture 60 latency --image tests/data/samples/phantom2.png --output-len 32 --runs 3 --no-prefix-cache
  seven throughput-7b 90 throughput --num-prompts 64
  MEDVISION_SIDE_LANE=0 seven throughput-7b-one-lane 60 throughput --num-prompts 64
  seven throughput-7b-any-order 60 throughput --num-prompts 64 --any-order # what one order of sums costs
  # fails where an answer depends on batching, reuse or drafts
  seven gains-7b 60 throughput --gains --num-prompts 8 --workload bench/workloads/labels.jsonl
  MEDVISION_OVERLAP=0 seven latency-7b-no-overlap 60 latency --input-len 1024 --output-len 64 --runs 3
fi
say "the same through transformers"
part transformers 150 bash -c "peer 100"

if [ "$DEVICE" = cuda ]; then
  say "compute-sanitizer"
  for tool in memcheck racecheck; do
    for test in test_gpu_rows test_gpu_sample; do part "$tool-$test" 45 bash -c "sanitize $tool $test"; done
  done
  say "the card's limits"
  part probe 240 bash -c probe
fi

# One file of results, one table.
if command -v python3 >/dev/null; then
python3 - "$RUN" "$RESULTS" "$when" "$card" "${table[@]}" <<'PYTHON' || failed=1
import json, os, re, sys
run, results, when, card, *parts = sys.argv[1:]
out = {"when": when, "card": card, "parts": [p.split(None, 1) for p in parts]}
for name in sorted(os.listdir(run)):
    if name.endswith(".json"):
        try:
            with open(os.path.join(run, name), encoding="utf-8") as f:
                text = f.read()
            lines = text.splitlines()
            each = [json.loads(line) for line in lines] if text[:2] != "{\n" else [json.loads(text)]
            out[name[:-5]] = each[0] if len(each) == 1 else each
        except ValueError as error:
            out[name[:-5]] = {"error": str(error)}
path = os.path.join(results, "gpu-%s.json" % re.sub(r"[^a-z0-9]+", "-", card.lower()).strip("-"))
with open(path, "w", encoding="utf-8") as f:
    json.dump(out, f, indent=1)
    f.write("\n")
kernels = out.get("kernels", {})
machine = kernels.get("machine", {})
if machine:
    print("\n%s: copies %.0f GB/s, multiplies %.0f TFLOP/s" %
          (card, machine["read_gbs"], machine["bf16_gflops"] / 1e3))
    print("%-8s %-17s %-12s %10s %10s %9s %9s %8s" %
          ("phase", "operation", "what", "median us", "min us", "GB/s", "TFLOP/s", "% limit"))
for r in kernels.get("results", []):
    ms = r["median_ms"]
    print("%-8s %-17s %-12s %10.2f %10.2f %9.0f %9.2f %7.0f%%%s" %
          (r["phase"], r["op"], r["what"], 1e3 * ms, 1e3 * r["min_ms"], r["bytes"] / ms * 1e-6,
           r["flops"] / ms * 1e-9, 100 * r["limit_ms"] / ms, "" if r["right"] else "  WRONG"))
def latencies(name):
    found = out.get(name, [])
    return found if isinstance(found, list) else [found]

print("\n%-24s %8s %12s %12s" % ("7B shapes, ms", "requests", "first token", "each further"))
for name in ("latency-7b", "latency-7b-no-overlap", "latency-7b-picture"):
    for r in latencies(name):
        if "median_ttft_ms" in r:
            print("%-24s %8d %12.2f %12.3f" % (name, r.get("batch_size", 1), r["median_ttft_ms"],
                                              r["median_tpot_ms"]))
for r in out.get("transformers", {}).get("rows", []):
    if "median_ms" in r:
        print("%-24s %8d %12s %12.3f" % ("transformers, " + r["mode"], r["batch"],
                                        r["what"] if r["what"] != "decode" else "", r["median_ms"]))
probe = os.path.join(run, "probe", "all.log")
if os.path.exists(probe):
    with open(probe, encoding="utf-8") as f, \
         open(os.path.splitext(path)[0] + "-limits" + ".txt", "w", encoding="utf-8") as to:
        to.write(f.read())
print("\nresults in " + path)
PYTHON
else
  cp "$RUN"/*.json "$RESULTS/" && echo "no python3 here to make one file of the results: they are in $RESULTS, one a part"
fi
printf '\n%s\n' "-- $card, $SECONDS s"
printf '%s\n' "${table[@]}"
exit $failed
