# sensorssm: `make` lists what there is. Everything runs in .venv, which the first call sets up.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
export PYTHONUNBUFFERED := 1

.PHONY: help demo dashboard test test-gpu soak check fix bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "sensorssm needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing sensorssm into $(VENV) (torch and friends: a few minutes the first time)"
	$(PIP) -e '.[dashboard]'
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "installing the developers' tools"
	$(PIP) -e '.[dev]'
	@touch $@

demo: $(VENV)/.run ## a simulated plant from raw readings to alarms, at most 4 minutes; results in runs/demo
	$(BIN)/sensorssm demo

dashboard: $(VENV)/.run ## open the plant that the demo stored
	$(BIN)/sensorssm dashboard

test: $(VENV)/.dev ## all tests but those that need a GPU or a long time
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not gpu and not soak' -n $(WORKERS) --dist loadfile

test-gpu: $(VENV)/.dev ## the kernels' tests, compiled, on a CUDA device
	$(BIN)/python -m pytest -m gpu tests/kernels -n $(WORKERS)

soak: $(VENV)/.dev ## long tests: training to accuracy, endurance
	$(BIN)/python -m pytest -m soak

check: $(VENV)/.dev ## the one gate for contributors: format, lint, types, imports, spelling, fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright --level error
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m 'not gpu and not soak and not slow and not browser and not broker' -n $(WORKERS) --dist loadfile

fix: $(VENV)/.dev ## format, and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## speed of the scans beside public peers, in one run
	@$(PIP) mambapy
	OMP_WAIT_POLICY=PASSIVE PYTHONPATH=kernels $(BIN)/python kernels/bench/cpu.py
	@if $(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then \
	  PYTHONPATH=kernels $(BIN)/python kernels/bench/gpu.py; \
	else echo "no CUDA device here: the GPU tables of kernels/README.md need one"; fi

clean: ## remove what was made here, the virtual environment included
	rm -rf $(VENV) runs build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache
