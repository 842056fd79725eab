#!/usr/bin/env bash
# Train both models, from Omniglot's zips and the system's fonts to their bundles: `train/recipe.sh DATA [RUNS]`. Called again, it
# goes on where it stopped. SHORTER=1000 divides all numbers of steps, to see the chain run; FONTS names folders of fonts.
set -euo pipefail
if [ $# -lt 1 ]; then
    echo "usage: train/recipe.sh DATA [RUNS]   (DATA: folder with Omniglot's zips; RUNS: where the runs go, runs/recipe)" >&2
    exit 2
fi
data=$1 runs=${2:-runs/recipe} shorter=${SHORTER:-1}
read -r -a fonts <<< "${FONTS:-/usr/share/fonts}"

train() { # NAME STEPS OPTIONS...
    local name=$1 steps=$(($2 / shorter))
    shift 2
    if [ "$(cat "$runs/$name/finished" 2>/dev/null)" = "$steps" ]; then
        echo "== $name: finished"
        return
    fi
    if [ -e "$runs/$name/last.pt" ]; then set -- "$@" --resume; fi
    echo "== $name"
    python -m train --split koch --holdout Avesta Mongolian Oriya Sylheti --data "$data" \
        --steps "$((steps > 0 ? steps : 1))" --out "$runs/$name" "$@"
    echo "$steps" > "$runs/$name/finished"
}

# `omniglot`: Omniglot, alphabets composed of it, and invented symbols; what published results are compared with.
omniglot=(--preset narrow --precision fp32)
teachers=("$runs/settled/last.pt" "$runs/plain/last.pt")
train first 15000 "${omniglot[@]}"
train settled 5000 "${omniglot[@]}" --start-from "$runs/first/last.pt" --synthetic 0 --redrawn 0.3 --learning-rate 1e-3
train plain 6000 "${omniglot[@]}" --seed 3 --composed 0 --invented 0 --synthetic 0 --redrawn 0
train taught 5000 "${omniglot[@]}" --start-from "$runs/settled/last.pt" --teachers "${teachers[@]}" --synthetic 0.3 --redrawn 0.5 \
    --learning-rate 1e-3
train omniglot 2400 "${omniglot[@]}" --start-from "$runs/taught/last.pt" --teachers "${teachers[@]}" --synthetic 0 --redrawn 0.3 \
    --learning-rate 7e-4
python -m export "$runs/omniglot/last.pt" --out "$runs/bundle-omniglot"

# `edge`: the same weights in a network 1.5 times as wide, which goes on to learn scripts, print and pictograms from fonts.
train widened 1600 --preset edge --start-from "$runs/omniglot/last.pt" --learning-rate 1.5e-3 --seed 1
train edge 16000 --preset edge --start-from "$runs/widened/last.pt" --learning-rate 1.6e-3 --seed 2 --redrawn 0.4 --synthetic 0.11 \
    --glyphs scripts=0.22 pictograms=0.14 print=0.08 --fonts "${fonts[@]}"

# What ships: longer, with icons of many families and fonts that imitate handwriting (train/fetch_fonts.sh, a folder of FONTS), in large
# batches, which want a GPU (DEVICE=cuda: four minutes on an H200; hours on two cores); then the best between `edge` and that.
more=(--preset edge --fonts "${fonts[@]}" --redrawn 0.4 --device "${DEVICE:-cpu}")
train icons 17500 "${more[@]}" --start-from "$runs/edge/last.pt" --learning-rate 1.2e-3 --seed 4 --synthetic 0.06 --classes 60 --shots 3 \
    --glyphs scripts=0.20 icons=0.12 pictograms=0.07 print=0.06 hands=0.07
large=("${more[@]}" --synthetic 0.07 --glyphs scripts=0.2 icons=0.1 pictograms=0.06 print=0.07 hands=0.06)
train large 8700 "${large[@]}" --start-from "$runs/icons/last.pt" --learning-rate 1.5e-3 --seed 5 --classes 320 --shots 4 --set validations=1
holdout=(--split koch --holdout Avesta Mongolian Oriya Sylheti)
python -m train prepare "${holdout[@]}" --data "$data" "${large[@]}" --out "$runs/large.npz"
python -m train refit "$runs/large/last.pt" --prepared "$runs/large.npz" --blend-with "$runs/edge/last.pt" --out "$runs/ships.pt"
python -m export "$runs/ships.pt" --out "$runs/bundle"
python -m export.sketch "$runs/bundle" --data "$data"  # for the search of large galleries
