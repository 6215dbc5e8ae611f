#!/bin/sh
# Retrain the tiny checkpoint from nothing: about two and a half hours on two cores. Run it again to go on after a
# stop. WORK holds shards and training state (3 GB), MINUTES is the time of the first
# phase (finding things), WHOLE_MINUTES of the second (whole answers).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=${WORK:-$here/../../build/tiny}
minutes=${MINUTES:-104}
whole=${WHOLE_MINUTES:-45}
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
train() { "$python" "$here/train.py" --work "$work" "$@"; }
# Few tokens a picture and many pictures while it learns to see; then answers to their end, with half
# of them still cut after the landmarks, from 0.78 of the learning rate down to nothing.
[ -e "$work/seen" ] || train --minutes "$minutes" --full 0 --length 256 --batch 14
touch "$work/seen"
train --phase whole --clock 20 --minutes $((whole + 20)) --full 0.5 --length 416 --batch 8
"$python" "$here/curve.py" "$work/loss.csv"
"$python" "$here/export.py" --work "$work"
"$python" "$here/evaluate.py" --out "$here/accuracy.json"
"$python" "$here/samples.py"
