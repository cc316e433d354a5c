# `make demo` and `make test` need a Swift toolchain and nothing else: the C libraries are installed where they are missing.

SWIFT ?= swift
# The benchmarks are a package of their own; built into the same directory, they compile none of the libraries again.
BENCHMARKS = --package-path Benchmarks --scratch-path .build
LIBRARIES = libopenblas-dev liblapacke-dev libjpeg-dev libwebp-dev zlib1g-dev

.PHONY: demo test docs install install-built uninstall sanitize fuzz libraries data format benchmark roots peers

demo: libraries data
	$(SWIFT) build -c release --product zoo-eval
	.build/release/zoo-eval resnet20-fastmpn

# Tests run in release: the golden networks are slow without optimisation.
test: libraries
	$(SWIFT) build -c release --build-tests
	$(SWIFT) test -c release --skip-build
	$(SWIFT) build -c release --build-tests $(BENCHMARKS)
	$(SWIFT) test -c release --skip-build $(BENCHMARKS)

# The pages of all libraries, in .build/documentation; a warning is an error.
docs: libraries
	$(SWIFT) build -c release
	SWIFT="$(SWIFT)" Documentation/build.sh

# Tools, the networks in the box, completions for three shells and manual pages; DESTDIR is put before all of it, for packagers.
# `make install SWIFT_FLAGS=--static-swift-stdlib` makes tools that need no Swift toolchain on the machine they run on.
PREFIX ?= /usr/local
BUILD = .build/release
TOOLS = zoo-eval zoo-train mpn-bench
ROOT = $(DESTDIR)$(PREFIX)

install: libraries
	for tool in zoo-eval zoo-train; do $(SWIFT) build -c release $(SWIFT_FLAGS) --product $$tool || exit; done
	$(SWIFT) build -c release $(SWIFT_FLAGS) $(BENCHMARKS) --product mpn-bench
	$(MAKE) install-built

install-built:
	install -d "$(ROOT)/bin" "$(ROOT)/share/swift-covpool/Networks" "$(ROOT)/share/man/man1" \
	  "$(ROOT)/share/bash-completion/completions" "$(ROOT)/share/zsh/site-functions" "$(ROOT)/share/fish/vendor_completions.d"
	install -m 644 Sources/BundledWeights/Networks/* "$(ROOT)/share/swift-covpool/Networks"
	set -e; for tool in $(TOOLS); do \
	  install -m 755 "$(BUILD)/$$tool" "$(ROOT)/bin"; \
	  script() { "$(BUILD)/$$tool" --generate-completion-script $$1; }; \
	  script bash > "$(ROOT)/share/bash-completion/completions/$$tool"; \
	  script zsh > "$(ROOT)/share/zsh/site-functions/_$$tool"; \
	  script fish > "$(ROOT)/share/fish/vendor_completions.d/$$tool.fish"; \
	  version=$$("$(BUILD)/$$tool" --version); \
	  COLUMNS=2000 "$(BUILD)/$$tool" --help | awk -v tool=$$tool -v version="$${version%%, *}" -f Packaging/manual.awk \
	    > "$(ROOT)/share/man/man1/$$tool.1"; \
	done

uninstall:
	for tool in $(TOOLS); do \
	  rm -f "$(ROOT)/bin/$$tool" "$(ROOT)/share/bash-completion/completions/$$tool" \
	    "$(ROOT)/share/zsh/site-functions/_$$tool" "$(ROOT)/share/fish/vendor_completions.d/$$tool.fish" \
	    "$(ROOT)/share/man/man1/$$tool.1"; \
	done
	rm -rf "$(ROOT)/share/swift-covpool"

# The tests of what handles memory and threads of its own, under each sanitizer in a build of its own; in release, since a debug
# build leaves the kernels to BLAS. `make sanitize SANITIZER=thread` runs one. What measures memory is left out.
SANITIZER = address undefined thread
SANITIZED = (LinearAlgebra|Tensors|NeuralNetworks|CovariancePooling|Inference|Checkpoints|Vision|Files|Charts)Tests
UNSANITIZED = CheckpointsTests.MemoryTests
SANITIZER_OPTIONS = LSAN_OPTIONS=suppressions=Tests/Sanitizers/leaks.txt \
  TSAN_OPTIONS=suppressions=Tests/Sanitizers/races.txt

# Swift has no undefined behaviour to look for: it is the C targets' alone.
SWIFT_RUNTIME = $(shell $(SWIFT) -print-target-info | sed -n 's/.*"runtimeResourcePath": "\(.*\)".*/\1/p')
sanitizing = $(if $(filter undefined,$(1)),-Xcc -fsanitize=undefined -Xcc -fno-sanitize-recover=undefined \
  -Xlinker "$(SWIFT_RUNTIME)/clang/lib/linux/libclang_rt.ubsan_standalone-$(shell uname -m).a",--sanitize=$(1))

sanitize: $(addprefix sanitize-,$(SANITIZER))

sanitize-%: libraries
	$(SWIFT) build -c release --build-tests --scratch-path .build-$* $(call sanitizing,$*)
	$(SANITIZER_OPTIONS) $(SWIFT) test -c release --skip-build --scratch-path .build-$* $(call sanitizing,$*) \
	  --filter '$(SANITIZED)' --skip '$(UNSANITIZED)'

# Damages files of the tests without end, under the address sanitizer, and stops at the first that is neither read nor refused:
# `make fuzz TARGET=pictures` or `TARGET=checkpoints`. FUZZ are libFuzzer's options.
TARGET ?= pictures
FUZZ ?= -max_len=65536 -timeout=20 -rss_limit_mb=4096
fuzz_pictures = FuzzPictures Tests/VisionTests/Resources Tests/VisionTests/Resources/corpus
fuzz_checkpoints = FuzzCheckpoints Tests/CheckpointsTests/Resources

fuzz: libraries
	$(SWIFT) build -c release --package-path Fuzzing --sanitize=address \
	  -Xcc -fsanitize=fuzzer-no-link -Xswiftc -sanitize=fuzzer --product $(firstword $(fuzz_$(TARGET)))
	mkdir -p Fuzzing/.build/found-$(TARGET)
	Fuzzing/.build/release/$(firstword $(fuzz_$(TARGET))) $(FUZZ) -artifact_prefix=Fuzzing/.build/ \
	  Fuzzing/.build/found-$(TARGET) $(wordlist 2,9,$(fuzz_$(TARGET)))

libraries:
	@command -v $(SWIFT) >/dev/null || { echo "error: no '$(SWIFT)' found: install a Swift toolchain, 6.1 or later" >&2; exit 1; }
	@$(call install,$(LIBRARIES))

# Images that the networks in the box are evaluated on; without them the demo reports on speed alone.
data:
	@{ $(call install,dataset-fashion-mnist); } || echo "note: dataset-fashion-mnist could not be installed"

# Installs the Debian packages that are missing, with sudo when not root.
define install
if command -v dpkg-query >/dev/null; then \
  missing=$$(for name in $(1); do \
    dpkg-query -W -f '$${Status}\n' $$name 2>/dev/null | grep -q 'ok installed' || printf '%s ' $$name; done); \
  if [ -n "$$missing" ]; then \
    echo "installing $$missing"; \
    if [ "$$(id -u)" = 0 ]; then run=; else run=sudo; fi; \
    $$run apt-get update -qq && $$run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing; \
  fi; \
else \
  echo "note: not a Debian system; needed: $(1)"; \
fi
endef

format:
	$(SWIFT) format --in-place --recursive Package.swift Sources Tests Examples Benchmarks
	if command -v clang-format >/dev/null; then clang-format -i Sources/Kernels/*.c Sources/Kernels/*/*.[ch]; fi

# This times the package and its peers by turns, in an hour with five rounds; the peers go into an environment of their own,
# .venv-peers. ARGUMENTS are those of compare.py, for example '--models resnet50-fastmpn --batches 8'.
ROUNDS ?= 5

benchmark: libraries peers
	$(SWIFT) build -c release --product zoo-eval
	.venv-peers/bin/python Benchmarks/Peers/compare.py .build/release/zoo-eval --rounds $(ROUNDS) $(ARGUMENTS)
	.venv-peers/bin/python Benchmarks/Peers/aspects.py .build/release/zoo-eval --rounds $(ROUNDS)
	$(SWIFT) build -c release $(BENCHMARKS) --product training-step
	.venv-peers/bin/python Benchmarks/Peers/compare_training.py .build/release/training-step --rounds $(ROUNDS)

# Times every road to the square root beside PyTorch's, in half an hour: sizes, then shapes and spectra, then the covariances of
# a network. The charts of the first are the documentation's.
MPN_BENCH = env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE .build/release/mpn-bench --peers
CATALOG = Sources/CovariancePooling/CovariancePooling.docc

roots: libraries peers
	$(SWIFT) build -c release $(BENCHMARKS) --product mpn-bench
	$(MPN_BENCH) --threads 1,2 --output Benchmarks/Results/roots
	mv Benchmarks/Results/roots/*.svg $(CATALOG)
	$(MPN_BENCH) --dimensions 256 --positions 49,196,784 --batch 1,16,64 --spectrum white,rank-deficient \
	  --methods "ns5 ns5-direct ns15 gram eig svd" --output Benchmarks/Results/roots-shapes
	$(MPN_BENCH) --features resnet20-mpn --batch 64 --output Benchmarks/Results/roots-network

peers:
	test -x .venv-peers/bin/python || python3 -m venv .venv-peers
	.venv-peers/bin/python -c 'import torch, numpy, PIL, onnxruntime, openvino, onnxscript, matplotlib' 2>/dev/null \
	  || .venv-peers/bin/pip install -q torch numpy pillow onnx onnxruntime onnxscript openvino matplotlib
