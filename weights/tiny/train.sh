#!/bin/sh
# Retrain the tiny checkpoint from nothing: about two hours on two cores. Run it again to go on after a
# stop. WORK holds shards and training state (3 GB), MINUTES is the training time.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=${WORK:-$here/../../build/tiny}
minutes=${MINUTES:-120}
mkdir -p "$work"
python=${PYTHON:-}
if [ -z "$python" ]; then
    python=$work/venv/bin/python
    [ -x "$python" ] || python3 -m venv "$work/venv"
    "$python" -m pip install --quiet -r "$here/requirements.txt"
fi
"$python" "$here/data.py" "$work/shards" 0 100 &      # pictures, in a second process
maker=$!
trap 'kill $maker 2>/dev/null || true' EXIT
"$python" "$here/train.py" --work "$work" --minutes "$minutes"
"$python" "$here/export.py" --work "$work"
"$python" "$here/evaluate.py" --out "$here/accuracy.json"
"$python" "$here/curve.py" "$work/loss.csv"
"$python" "$here/samples.py"
