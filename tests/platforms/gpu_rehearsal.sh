#!/usr/bin/env bash
# gpu_rehearsal.sh: benchmarks/gpu.sh on the processor at tiny sizes, with pictures that are drawn here, so that nothing in it is met for the first time on a GPU.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

PYTHONPATH=. python3 - "$work/images" <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from oneshot_runtime.synthetic import draw, invent_alphabet, random_writer

rng = np.random.default_rng(3)
for number, symbol in enumerate(invent_alphabet(16, seed=3)):
    folder = Path(sys.argv[1]) / f"s{number}"
    folder.mkdir(parents=True)
    for image in range(4):
        Image.fromarray(draw(symbol, random_writer(rng), rng)).save(folder / f"{image}.png")
PYTHON
DEVICE=cpu benchmarks/gpu.sh "$work/out" "$work/images"
[ "$(grep -c ": exit 0 " "$work/out/steps.txt")" = 6 ]
for name in card.txt provider.json golden.txt doctor.txt device.json train.txt log.jsonl bundle.tar; do
    [ -s "$work/out/$name" ] || { echo "$name is missing"; exit 1; }
done
# The checkpoint comes back in parts, and its bundle is one.
cat "$work"/out/chosen.pt* >"$work/chosen.pt"
python3 -c "import torch, sys; torch.load(sys.argv[1], weights_only=True)" "$work/chosen.pt"
tar xf "$work/out/bundle.tar" -C "$work"
PYTHONPATH=. python3 -m oneshot_runtime info --bundle "$work/bundle" >"$work/info.txt"
head -n 1 "$work/info.txt" # not behind a pipe, which head would close on a writer that is not done
