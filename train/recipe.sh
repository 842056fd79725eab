#!/usr/bin/env bash
# Train what ships, from Omniglot's zips to the bundle: `train/recipe.sh DATA [RUNS]`. Called again, it goes on where it stopped.
# SHORTER=1000 divides all numbers of steps, to see the chain run.
set -euo pipefail
if [ $# -lt 1 ]; then
    echo "usage: train/recipe.sh DATA [RUNS]   (DATA: folder with Omniglot's zips; RUNS: where the runs go, runs/recipe)" >&2
    exit 2
fi
data=$1 runs=${2:-runs/recipe} shorter=${SHORTER:-1}

train() { # NAME STEPS OPTIONS...
    local name=$1 steps=$(($2 / shorter))
    shift 2
    if [ -e "$runs/$name/last.pt" ]; then set -- "$@" --resume; fi
    echo "== $name"
    python -m train --preset edge --split koch --holdout Avesta Mongolian Oriya Sylheti --data "$data" --precision fp32 \
        --steps "$((steps > 0 ? steps : 1))" --out "$runs/$name" "$@"
}

teachers=("$runs/settled/last.pt" "$runs/plain/last.pt")
train first 15000
train settled 5000 --start-from "$runs/first/last.pt" --synthetic 0 --redrawn 0.3 --learning-rate 1e-3
train plain 6000 --seed 3 --composed 0 --invented 0 --synthetic 0 --redrawn 0
train taught 5000 --start-from "$runs/settled/last.pt" --teachers "${teachers[@]}" --synthetic 0.3 --redrawn 0.5 --learning-rate 1e-3
train shipped 2400 --start-from "$runs/taught/last.pt" --teachers "${teachers[@]}" --synthetic 0 --redrawn 0.3 --learning-rate 7e-4
python -m export "$runs/shipped/last.pt" --out "$runs/bundle"
