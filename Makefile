# Every command of the project. `make` alone prints them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
OUT    ?= out
# Of the demo's networks: fp32 or int8.
PRECISION ?= fp32

export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_NO_WARN_SCRIPT_LOCATION = 1

.PHONY: help setup demo fleet-demo demo-sports demo-rehab demo-safety test soak check bench accuracy docs format doctor clean
.PHONY: spark-test flower-test federated-trial install uninstall deb rootfs-overlay wheels gpu-test gpu-bench vm vm-shell vm-test

help: ## print this list
	@awk -F ':.*## ' '/^[a-z -]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

# A stamp per level: what is set up once is not looked at again until setup.py changes.
$(VENV)/.made:
	@PYTHON="$(PYTHON)" bash tests/system.sh venv
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install $(QUIET) --upgrade pip
	@touch $@

$(VENV)/.setup: $(VENV)/.made setup.py
	@echo "installing edge and edge-tools into $(VENV)"
	@$(BIN)/python -m pip install --editable '.[tools]' $(QUIET)
	@touch $@

$(VENV)/.dev: $(VENV)/.setup
	@echo "installing what the tests need into $(VENV)"
	@$(BIN)/python -m pip install --editable '.[dev]' $(QUIET)
	@$(BIN)/python -m pip install '$(TORCH)' --editable '.[torch]' $(QUIET)
	@touch $@

$(VENV)/.synth: $(VENV)/.setup
	@$(BIN)/python -m pip install --editable '.[synth]' $(QUIET)
	@touch $@

QUIET ?= -qq
# One version by name: a build for the CPU is enough, the newest brings gigabytes for GPUs.
TORCH ?= torch==2.13.0

$(VENV)/.docs: $(VENV)/.setup
	@$(BIN)/python -m pip install --editable '.[docs]' $(QUIET)
	@touch $@

setup: $(VENV)/.setup ## make .venv with edge and edge-tools in it
	@echo "$(BIN)/edge and $(BIN)/edge-tools are ready; the networks: $(BIN)/edge-tools get hybrid blazepose"

DEMO_DETECT := hybrid-tall# as in tools/demos/cameras.py; a set made for another is made again

demo: $(VENV)/.setup $(if $(filter int8,$(PRECISION)),calibration/demo/.made-$(DEMO_DETECT)) ## four cameras of real video -> poses and events over MQTT, annotated video
	@$(BIN)/edge-tools demo --out $(OUT)/demo --precision $(PRECISION) $(DEMO)

demo-sports demo-rehab demo-safety: $(VENV)/.synth ## one field: repetitions with scores, ranges of motion, or alarms; a page at the end
	@$(BIN)/edge-tools demo $(@:demo-%=%) --out $(OUT)/$@ --precision $(PRECISION) $(DEMO)

fleet-demo: $(VENV)/.setup ## 20 simulated boxes of the demo's messages: landed, joined, one page
	@test -f $(OUT)/demo/messages.jsonl || $(MAKE) --no-print-directory demo
	@$(BIN)/edge-tools fleet-demo --messages $(OUT)/demo/messages.jsonl --out $(OUT)/fleet-demo

# The demo's own INT8 networks: calibrated, quantized and proven on its clips, once.
calibration/demo/.made-$(DEMO_DETECT): | $(VENV)/.setup
	@$(BIN)/edge-tools get $(DEMO_DETECT) blazepose multiperson singleperson
	@$(BIN)/edge-tools calibrate demo --detect $(DEMO_DETECT) --frames 48 --heldout 24 \
		--from calibration/multiperson/cam0*.mp4 calibration/singleperson/cam0*.mp4
	@for model in $(DEMO_DETECT) blazepose; do \
		$(BIN)/edge-tools quantize $$model --set demo && $(BIN)/edge-tools verify $$model --set demo; \
	done
	@touch $@

# Debian's packages first, so that nothing is begun where one is missing and we are not root.
test: ## install what the tests need, set everything up and run all tests, edge/ on every Python found
	@PYTHON="$(PYTHON)" bash tests/system.sh test
	@$(MAKE) --no-print-directory $(VENV)/.dev $(NODE)/.made
	@VENV="$(VENV)" bash tests/run.sh

# Tools of others that check the contract (tests/foreign), in the versions of package-lock.json.
NODE := tests/foreign/node_modules
$(NODE)/.made: tests/foreign/package-lock.json $(VENV)/.dev
	@echo "installing JavaScript tools into $(NODE)"
	@cd tests/foreign && PATH="$(abspath $(BIN)):$$PATH" npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null || \
		{ echo "npm ci in tests/foreign fails: does this machine reach npm's registry?"; exit 69; }
	@touch $@

soak: $(VENV)/.dev ## promises and the INT8 chain in full length (hours); figures in out/soak.jsonl
	@mkdir -p $(OUT)
	@EDGE_SOAK=1 EDGE_FIGURES="$(abspath $(OUT))/soak.jsonl" $(BIN)/python -m pytest tests/promises tests/edge/sensors tests/tools/test_int8_chain.py tests/tools/test_readme.py tests/edge/people/test_smoother_properties.py $(SOAK)

# Two environments of their own: 700 MB and 290 MB that `make test` has no time for (docs/fleet.md).
.venv-spark/.made: | $(VENV)/.made
	@PYTHON="$(PYTHON)" bash tests/system.sh spark
	@$(PYTHON) -m venv .venv-spark
	@.venv-spark/bin/python -m pip install 'pyspark>=4.0,<5' $(QUIET)
	@touch $@

.venv-flower/.made: | $(VENV)/.made
	@PYTHON="$(PYTHON)" bash tests/system.sh flower
	@$(PYTHON) -m venv .venv-flower
	@.venv-flower/bin/python -m pip install 'flwr>=1.42,<1.43' numpy $(QUIET)
	@touch $@

spark-test flower-test: %-test: $(VENV)/.dev .venv-%/.made ## Spark against DuckDB; four sites over Flower. NOT part of make test
	@EDGE_SOAK=1 $(BIN)/python -m pytest tests/$*

federated-trial: $(VENV)/.dev ## four rendered sites learn without sharing pictures; bars, a page (minutes to an hour)
	@MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=4294967296 $(BIN)/edge-tools federated-trial --out $(OUT)/federated-trial $(TRIAL)

check: ## lint, format, strict types, dead code, shell scripts, commit subjects
	@PYTHON="$(PYTHON)" bash tests/system.sh check
	@$(MAKE) --no-print-directory $(VENV)/.dev
	@$(BIN)/ruff check edge tools tests examples setup.py
	@$(BIN)/ruff format --check --quiet edge tools tests examples setup.py || \
		{ echo "the formatter would change files: make format"; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/vulture --config tests/vulture.toml
	@shellcheck tests/*.sh tests/vm/*.sh .ci/run
	@bash tests/subjects.sh

bench: $(VENV)/.dev ## our speed against peers, side by side; JSON and plots in out/bench
	@$(BIN)/edge-tools bench --out $(OUT)/bench $(BENCH)

accuracy: $(VENV)/.synth ## how right poses, ids and events are; tables, and pages in out/accuracy
	@$(BIN)/edge-tools accuracy --out $(OUT)/accuracy $(ACCURACY)

gpu-test: $(VENV)/.dev ## prove the GPU half on a machine with an NVIDIA GPU
	@$(BIN)/python -m tests.device test $(GPU)

gpu-bench: $(VENV)/.dev ## latency at 1, 5, 20, 100 people there, share of the bare engines
	@$(BIN)/python -m tests.device bench $(GPU)

# The box in a virtual machine: root, x86-64, qemu without KVM, or VM_ACCEL=kvm. docs/vm.md.
VM = bash tests/system.sh vm && $(BIN)/python -m tests.vm

vm: $(VENV)/.dev ## a virtual machine with our package, in out/vm; made again only if its content changed
	@$(VM) build

vm-shell: $(VENV)/.dev ## a root shell in it; its disk is thrown away
	@$(VM) shell

vm-test: $(VENV)/.dev ## faults in it: power cuts, cameras, memory ... (an hour); CASES="power" VM_TEST=--resume
	@$(VM) test $(CASES) $(VM_TEST)

docs: $(VENV)/.docs ## all pages as HTML in out/site/html, nothing from outside
	@$(BIN)/edge-tools reference --site $(OUT)/site

doctor: $(VENV)/.setup ## what this machine has and lacks
	@$(BIN)/edge doctor || true

# The device: for which machine and which Pythons. By default this machine with the Python of its
# distribution; for arm64 JetPack's, too: 3.8 is JetPack 5, 3.10 JetPack 6, 3.12 JetPack 7.
HOST    := $(if $(filter aarch64,$(shell uname -m)),arm64,amd64)
ARCH    ?= $(HOST)
HERE     = $(shell /usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
PYTHONS ?= $(sort $(if $(filter arm64,$(ARCH)),3.8 3.10 3.12) $(if $(filter $(HOST),$(ARCH)),$(HERE)))
# DESTDIR=/path: files of an image instead of this machine.
# FOREIGN=1: a package for another distribution than this machine's.
export DESTDIR FOREIGN

install: PYTHONS := $(if $(DESTDIR),$(PYTHONS),$(HERE))
install: wheels ## the service on this machine (root), or into DESTDIR for an image of ARCH
	@sh systemd/install.sh install $(OUT)/wheels/$(ARCH) $(PYTHONS)

uninstall: ## take the service away; settings, keys, events and networks stay
	@sh systemd/install.sh uninstall

deb: wheels ## a Debian package for this distribution, or for JetPack by ARCH=arm64, in out/deb
	@DESTDIR= sh systemd/deb/build.sh $(ARCH) $(OUT)/wheels/$(ARCH) $(OUT)/deb $(PYTHONS)

rootfs-overlay: wheels ## an archive to unpack over the root of an image of ARCH, no secret in it
	@sh systemd/overlay.sh $(ARCH) $(OUT)/wheels/$(ARCH) $(OUT)/overlay $(PYTHONS)

wheels: $(VENV)/.made
	@sh systemd/wheels.sh $(OUT)/wheels/$(ARCH) $(ARCH) $(PYTHONS)

format: $(VENV)/.dev ## format all files and let the linter mend what it can
	@$(BIN)/ruff format edge tools tests examples setup.py
	@$(BIN)/ruff check --fix edge tools tests examples setup.py

clean: ## remove what was made, keep downloads
	@rm -rf .venv .venv-* build dist *.egg-info out .pytest_cache .mypy_cache .ruff_cache .hypothesis
