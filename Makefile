# GNU make. Needs Python 3.11 or newer (another one: make PYTHON=python3.12 …); everything else goes into .venv.

PYTHON ?= python3
PYTEST_ARGS ?=
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory --no-builtin-rules
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help report derive test calibration check wheel clean

BIN := .venv/bin
READY := .venv/.ready

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(firstword $(MAKEFILE_LIST))

report: $(READY) ## verify every claim and write the convergence report; its path is the last line
	@$(BIN)/widelimit report

derive: $(READY) ## regenerate every derivation
	@$(BIN)/widelimit derive

test: $(READY) ## all tests (PYTEST_ARGS='-k word' for some)
	@$(BIN)/pytest -n 2 $(PYTEST_ARGS)

calibration: $(READY) ## simulate how often verdicts are wrong, and print the rates
	@$(BIN)/pytest -n 2 tests/calibration $(PYTEST_ARGS)

check: $(READY) ## lint, formatting, types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

wheel: $(READY) ## the wheel, in dist/
	@rm -rf build dist
	@$(BIN)/python -m build --wheel

clean: ## remove everything made here, the environment too; reports stay
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find derive numeric verify tests -type d -name __pycache__ -exec rm -rf {} +

# The stamp is written last: an interrupted installation is repeated.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "widelimit needs Python 3.11 or newer, got $$($(PYTHON) --version 2>&1 | head -n 1): choose one with make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments: install its venv module (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "making .venv (about a minute)" >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
