#!/bin/sh
# Measures the sample phantoms with the embedded checkpoint and prints the truth beside each answer.
# Usage: tests/demo.sh build/medvision [DIR for overlays, default build/demo]
set -eu
program=$1
out=${2:-build/demo}
samples=tests/data/samples
mkdir -p "$out"

# A string or the inside of an array of one line of samples.jsonl.
text() { printf '%s\n' "$line" | sed -n 's/.*"'"$1"'": "\([^"]*\)".*/\1/p'; }
list() { printf '%s\n' "$line" | sed -n 's/.*"'"$1"'": \[\([^]]*\)\].*/\1/p'; }
names() { list "$1" | sed 's/^"//; s/"$//; s/", "/;/'; }

failed=0
while IFS= read -r line; do
  id=$(text id)
  set -- "$(text task)" "$samples/$(text image)" --description "$(text description)" \
    --overlay "$out/$id.png" --max-new-tokens 512 --quiet
  pixel=$(list pixel_size | sed 's/, /x/')
  [ -z "$pixel" ] || set -- "$@" --pixel-size "$pixel"
  name=$(text name)
  case $(text task) in
    detect | size) set -- "$@" --label "$(text label)" ;;
    distance) set -- "$@" --points "$(names landmarks)" ;;
    angle) set -- "$@" --line1 "$(names line1)" --line2 "$(names line2)" ;;
  esac
  case $(text task) in
    distance | angle) [ -z "$name" ] || set -- "$@" --name "$name" ;;
  esac
  "$program" "$@" </dev/null || failed=$((failed + 1))
  echo "  truth        $(list truth)"
  echo
done <"$samples/samples.jsonl"
echo "Overlays are in $out/. Phantoms are drawn by weights/tiny/phantom.py; not for clinical use."
[ "$failed" = 0 ] || echo "$failed of the answers could not be parsed: see weights/tiny/README.md" >&2
