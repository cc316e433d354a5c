#!/usr/bin/env bash
# Trains resnet20 with each of the four heads on Fashion-MNIST, by one recipe, over seeds. Stop it whenever you like and
# start it again: what is done stays done, and what was interrupted goes on.
#
# usage: Examples/fashion-mnist/train.sh [SEED...]        (default: 0; results in runs/fashion-mnist)
# Afterwards Examples/fashion-mnist/table.sh prints mean and range.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
: "${ZOO_TRAIN:=.build/release/zoo-train}" "${RUNS:=runs/fashion-mnist}"
[ -x "$ZOO_TRAIN" ] || swift build -c release --product zoo-train
for seed in "${@:-0}"; do
  for model in resnet20 resnet20-fastmpn resnet20-dropcov resnet20-mpn; do
    "$ZOO_TRAIN" "$model" --recipe "$here/recipe.json" --seed "$seed" --resume "$RUNS/$model-$seed"
  done
done
