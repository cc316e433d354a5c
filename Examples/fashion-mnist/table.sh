#!/usr/bin/env bash
# Mean and range of the last epoch's validation accuracy over the finished seeds of train.sh, as a table.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${RUNS:=runs/fashion-mnist}"
echo "| network | seeds | Acc@1, % (mean) | lowest | highest | last epoch's loss |"
echo "|---|---|---|---|---|---|"
for model in resnet20 resnet20-fastmpn resnet20-mpn resnet20-dropcov; do
  for log in "$RUNS/$model"-[0-9]*/log.csv; do
    if [ -f "$(dirname "$log")/curves.svg" ]; then tail -n 1 "$log"; fi   # finished runs have their curves
  done | awk -F, -v model="$model" '
    { n++; sum += $6; loss += $5; if (n == 1 || $6 < low) low = $6; if ($6 > high) high = $6 }
    END { if (n) printf "| %s | %d | %.2f | %.2f | %.2f | %.4f |\n", model, n, sum / n, low, high, loss / n }'
done
