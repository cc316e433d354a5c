#!/usr/bin/env bash
# Builds the documentation of every library, and of what belongs to none, as one site; a warning is an error.
#
# usage: Documentation/build.sh [DIRECTORY]   (default: .build/documentation)
# The libraries must be built: comments are read from what the compiler left in .build/release.
# `python3 -m http.server --directory .build/documentation` shows it at http://localhost:8000/documentation.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${SWIFT:=swift}"
site=${1:-.build/documentation}
built=.build/release
work=.build/documentation-parts
# From the bottom up, since a library's pages link to those of the libraries below it.
libraries="LinearAlgebra Tensors NeuralNetworks CovariancePooling Inference Checkpoints Vision BundledWeights ModelZoo Training"

about=$("$SWIFT" -print-target-info)
toolchain=$(sed -n 's/.*"runtimeResourcePath": "\(.*\)\/lib\/swift".*/\1\/bin/p' <<<"$about")
triple=$(sed -n 's/.*"unversionedTriple": "\(.*\)".*/\1/p' <<<"$about")
rm -rf "$work" "$site"
mkdir -p "$work"
archives=()

# Converts one catalogue with one module's symbols, or none.
convert() {
  local name=$1 catalog=$2
  shift 2
  "$toolchain/docc" convert ${catalog:+"$catalog"} "$@" ${archives[@]/#/--dependency } --warnings-as-errors \
    --fallback-display-name "$name" --fallback-bundle-identifier "swift-covpool.$name" \
    --enable-experimental-external-link-support --output-path "$work/$name.doccarchive"
  archives+=("$work/$name.doccarchive")
}

for library in $libraries; do
  mkdir "$work/$library"
  "$toolchain/swift-symbolgraph-extract" -module-name "$library" -target "$triple" -I "$built/Modules" \
    -I Modules/COpenBLAS -I Modules/CZlib \
    -Xcc -fmodule-map-file="$built/Kernels.build/module.modulemap" \
    -Xcc -fmodule-map-file="$built/ImageReading.build/module.modulemap" \
    -minimum-access-level public -skip-synthesized-members -output-dir "$work/$library"
  catalog=Sources/$library/$library.docc
  [ -d "$catalog" ] || catalog=
  convert "$library" "$catalog" --additional-symbol-graph-dir "$work/$library"
done
convert swift-covpool Documentation/swift-covpool.docc
"$toolchain/docc" merge "${archives[@]}" --synthesized-landing-page-name swift-covpool --output-path "$site"
rm -rf "$work"
echo "written: $site"
