#!/usr/bin/env bash
# gpu.sh OUT DATA [STEP...]: all that is to be measured where there is an NVIDIA GPU, in at most nine minutes, or these steps of it. DATA: folder with Omniglot's zips.
# What it finds lies in OUT.
# Needed: python3 with torch, numpy, Pillow, OpenCV, scipy, onnx, onnxscript, and an onnxruntime that has CUDA. Nothing is downloaded.
# Rehearsed without a GPU, at tiny sizes, in a minute: DEVICE=cpu gpu.sh OUT DATA  (then DATA may be a folder of images, class/image).
#
# 1 provider really in use, and the card's name    provider.json, card.txt
# 2 golden images and answers, beside the CPU      golden.txt, doctor.txt
# 3 embeddings by batch size, matches, a gallery   device.json, device.txt
# 4 training, for six minutes or what is left      train.txt, log.jsonl, curves.png, chosen.pt, bundle.tar
# The steps are called provider, golden, doctor, device, train (which ends with the export).
# steps.txt says how each ended. Files of more than 15 MB are split: cat chosen.pt.* >chosen.pt
set -uo pipefail
out=$(mkdir -p "$1" && realpath "$1")
data=$(realpath "$2")
cd "$(dirname "$0")/.."
device=${DEVICE:-cuda}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1 MPLBACKEND=Agg
tiny=""
[ "$device" = cuda ] || tiny=1
steps=" ${*:3} "
for name in "${@:3}"; do
    [[ " provider golden doctor device train " == *" $name "* ]] || { echo "gpu.sh: there is no step $name" >&2; exit 2; }
done
total=520 # seconds for everything
[ -z "$tiny" ] || total=5200 # a machine that rehearses may be busy
failed=0
SECONDS=0

wanted() { [ "$steps" = "  " ] || [[ $steps == *" $1 "* ]]; }
step() { # NAME LIMIT COMMAND...: its output is in OUT/NAME.txt and here; what fails or takes too long stops nothing that follows
    local name=$1 limit=$2 begin=$SECONDS code=0
    wanted "$name" || return 0
    shift 2
    echo "== $name"
    timeout --kill-after=5 "$((limit * total / 520))" "$@" 2>&1 | tee "$out/$name.txt" || code=$?
    [ "$code" = 0 ] || failed=1
    echo "$name: exit $code after $((SECONDS - begin)) s" | tee -a "$out/steps.txt"
}
: >"$out/steps.txt"
(nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader 2>/dev/null || echo "no nvidia-smi") | tee "$out/card.txt"
lscpu 2>/dev/null | grep -E "^(Model name|CPU\(s\))" | tee -a "$out/card.txt"

step provider 40 python3 - "$device" "$out/provider.json" <<'PYTHON'
import json, sys
from oneshot_runtime import OneShotMatcher
from oneshot_runtime.model.session import import_onnxruntime, nodes_by_provider

device, place = sys.argv[1:]
ort = import_onnxruntime()
matcher = OneShotMatcher.load(device=device, precision="fp32")
found = {
    "onnxruntime": ort.__version__, "available": ort.get_available_providers(), "device": matcher.device,
    "session": matcher._embedder.session.get_providers(), "nodes": nodes_by_provider(matcher._embedder.session),
    "automatic": OneShotMatcher.load().device,
}
print(json.dumps(found))
open(place, "w").write(json.dumps(found, indent=1))
assert matcher.device == device == found["automatic"], "another device runs"
PYTHON
step golden 60 python3 tests/platforms/device_check.py "$device"
step doctor 30 python3 -m oneshot_runtime doctor --device "$device"
if [ -n "$tiny" ]; then
    step device 60 python3 -m benchmarks.speed.device --device cpu --batches 1 4 --rounds 2 --supports 2000 --json "$out/device.json"
else
    step device 75 python3 -m benchmarks.speed.device --device "$device" --json "$out/device.json"
fi

# The data of the recipe's first run, on the device as a whole, where it is augmented too. Batches of 640 images: 160 is what a processor takes.
# With PREPARED=FILE, made beforehand by `python -m train prepare` with the options below, nothing is read of DATA, and glyphs of fonts are learned too.
options=(--data "$data" --out "$out/run" --device "$device" --seed 4)
if [ -n "$tiny" ]; then
    options+=(--steps 4 --classes 4 --shots 2 --composed 0 --invented 2 --precision fp32)
    if compgen -G "$data/*.zip" >/dev/null; then options+=(--split background); else options+=(--split folder); fi
else
    options+=(--split koch --holdout Avesta Mongolian Oriya Sylheti --classes 160 --learning-rate 3e-3 --precision bf16)
    if [ -n "${PREPARED:-}" ]; then
        options+=(--prepared "$PREPARED" --redrawn 0.4 --synthetic 0.07 --glyphs scripts=0.2 icons=0.1 pictograms=0.06 print=0.07 hands=0.06)
    fi
    # Preparing the data takes up to 100 s, the last validation and the export 40 s.
    minutes=$(python3 -c "print(min(6.0, max(0.5, ($total - $SECONDS - 140) / 60)))")
    options+=(--minutes "$minutes" --by-the-clock)
fi
if ! wanted train; then
    cat "$out/steps.txt"
    exit $failed
fi
step train $((tiny ? 520 : total - SECONDS - 15)) python3 -m train "${options[@]}"
chosen=$(sed -nE 's/^next: python -m export (.*) --out .*/\1/p' "$out/train.txt")
: "${chosen:=$out/run/last.pt}"
cp "$chosen" "$out/chosen.pt"
cp "$out"/run/log.jsonl "$out"/run/curves.png "$out/" 2>/dev/null
limit=$((total - SECONDS + 15))
steps="  "
step export $((tiny ? 100 : limit > 20 ? limit : 20)) python3 -m export "$chosen" --out "$out/bundle"
[ -d "$out/bundle" ] && tar cf "$out/bundle.tar" -C "$out" bundle

rm -rf "$out/run" "$out/bundle"
for file in "$out"/*; do
    if [ "$(stat -c %s "$file")" -gt 15000000 ]; then
        split -b 15000000 -d -a 1 "$file" "$file." && rm "$file"
    fi
done
cat "$out/steps.txt"
echo "$SECONDS s in all"
exit $failed
