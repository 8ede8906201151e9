# Every target sets up what it needs, below .venv/ and build/ (tools/setup). See README.md.
PYTHON ?= python3
VENV := .venv/bin
# Options for pytest, as in: make test PYTEST="--target unix32 -k arp"
PYTEST ?=
PROGRAMS := $(CURDIR)/build/system/bin
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin:$(PROGRAMS)

.PHONY: help setup setup-rp2 venv lint unit test test-rp2 coverage bench bench-rp2 profile demo size
.PHONY: loss-matrix loss-peers soak mpy flash clean distclean
.DEFAULT_GOAL := help

help:
	@echo "make demo       Linux talks to smolmp over a TAP, in a network namespace of its own"
	@echo "make test       lint, and every test this machine can run"
	@echo "make unit       only tests/unit, inside MicroPython"
	@echo "make lint       ruff, types, mpy-cross for every architecture, the house rules"
	@echo "make bench      how fast, beside lwIP and PyTCP (ROUNDS=3 SECS=2)"
	@echo "make bench-rp2  how fast a Pico with a W5500 is, emulated; where a segment's time goes"
	@echo "make profile    where each microsecond of a segment and an echo goes (ONLY=echo)"
	@echo "make coverage   which lines of smolmp tests/unit reaches (slow)"
	@echo "make loss-matrix  goodput over loss, delay, buffer; WRITE=1: into the tests' snapshot"
	@echo "make test-rp2   the part of make test that runs on an emulated Pico (tools/rp2)"
	@echo "make size       what smolmp takes of a Pico's heap, module by module (build/size.json)"
	@echo "make loss-peers  the same over a real wire, beside the kernel's TCP (three minutes)"
	@echo "make mpy        .mpy files for every board, and lists for mip, into dist/ (tools/pack.py)"
	@echo "make flash      smolmp onto the board at hand: FLASH=\"--address 192.168.1.50/24\""
	@echo "make soak       1 GB each way through faults, 24 simulated hours (about an hour)"
	@echo "make setup      what the others need: .venv/ and build/ (each of them calls it)"
	@echo "make clean      remove results; make distclean: what setup made, too"
	@echo 'PYTEST="..."    more options for pytest, such as --target unix32 or -k arp'

setup:
	@$(PYTHON) tools/setup

venv:
	@$(PYTHON) tools/setup venv

setup-rp2:
	@$(PYTHON) tools/setup rp2

lint: venv
	@$(VENV)/python tools/lint.py

unit: setup
	@$(VENV)/python -m pytest tests/unit $(PYTEST)

# Lint and tests both run, whatever the other says; pytest has the last word. The emulated Pico's
# firmware is built beside the first tests; a machine that cannot have it is told so, and its tests
# are skipped (in CI: fail).
test: setup
	@mkdir -p build/logs; status=0; \
	$(VENV)/python tools/lint.py || status=1; \
	$(VENV)/python -m pytest --junitxml=build/logs/tests.xml \
		--prepare "$(PYTHON) tools/setup rp2 --no-install" $(PYTEST) || status=1; \
	if [ $$status -ne 0 ]; then echo "make test: FAILED"; fi; \
	exit $$status

# What smolmp takes of a Pico's heap; SIZE="--only inplace": one part of it.
SIZE ?=
size: setup-rp2
	@build/rp2/emulator/bin/python tools/rp2/size.py $(SIZE)

# An emulated Pico: armv6m, 240 KB of heap, alignment faults.
test-rp2: setup-rp2
	@$(VENV)/python -m pytest tests/unit tests/pico --target rp2,rp2-frozen $(PYTEST)

# On the same Pico, with a modelled W5500 and the model of its flash cache: figures in simulated
# time, the same on every machine, into build/bench-rp2.json.
bench-rp2: setup-rp2
	@build/rp2/emulator/bin/python tools/rp2/bench.py

# Which lines of smolmp tests/unit reaches, seen through CPython and the shim.
coverage: setup
	@rm -f build/coverage*
	@SMOLMP_COVERAGE=1 $(VENV)/python -m pytest tests/unit --target shim $(PYTEST) || true
	@$(VENV)/python -m coverage combine -q
	@$(VENV)/python -m coverage html -q -d build/coverage-html
	@$(VENV)/python -m coverage report --skip-covered

# smolmp beside lwIP, PyTCP and MicroPython's bare TAP loop; ROUNDS=1 SECS=0.5: a quick look.
ROUNDS ?= 3
SECS ?= 2
bench: setup
	@$(VENV)/python tools/peers/compare.py --rounds $(ROUNDS) --secs $(SECS)

# In memory: what a segment, an echo, an idle poll cost, in parts.
ONLY ?=
profile: setup
	@$(VENV)/python tools/costs/table.py --only "$(ONLY)"

# Simulated time. WRITE=1 makes the figures the snapshot that tests/unit/tcp compares with.
loss-matrix: setup
	@MICROPYPATH=$(CURDIR):.frozen build/micropython/micropython-amd64 -X heapsize=32m \
	    tools/sim/loss_matrix.py --svg build/loss_matrix.svg \
	    $(if $(WRITE),--write tests/unit/tcp/loss_matrix.txt)

# Real time, real kernel. PEERS="--rtt 20 --loss 1 --seeds 10": more of what matters most.
PEERS ?=
loss-peers: setup
	@$(VENV)/python tools/loss_peers.py --svg build/loss_peers.svg $(PEERS)

# And ten simulated minutes of an emulated Pico with a faulty chip, unless a part is named:
# SOAK="gigabyte --target unix32 --size 100", SOAK="day --hours 1 --seed 7": a part of it.
SOAK ?=
soak: setup $(if $(SOAK),,setup-rp2)
	@$(VENV)/python tools/soak.py $(SOAK)
	@$(if $(SOAK),,build/rp2/emulator/bin/python tools/rp2/soak.py --minutes 10)

# MPY="--arch armv6m -O0": a part of it, with line numbers.
MPY ?=
mpy: venv
	@$(VENV)/python tools/pack.py $(MPY)

# FLASH="/dev/ttyACM0 --dry-run": see tools/flash.py.
FLASH ?=
flash: venv
	@$(VENV)/python tools/flash.py $(FLASH)

demo: setup
	@$(VENV)/python tools/demo.py

clean:
	rm -rf build/mpy build/typing build/logs build/pcap build/coverage*
	rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find smolmp ports tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf build .venv
