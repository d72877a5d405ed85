# The developer's interface. Every target sets .venv up first, which takes no time when it is.
# `make` and `make help` list the targets.

MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help
BIN := .venv/bin

.PHONY: help setup demo test lint types layers crds crds-check unit bench lock format clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

setup: ## make .venv from requirements.lock (says what it installs; asks apt-get for python3-venv at most)
	@scripts/setup

demo: setup ## run examples/digits-grid.yaml on this machine
	@$(BIN)/sparksweep run examples/digits-grid.yaml

test: lint types layers crds-check unit ## everything that must hold before a commit

lint: setup ## ruff: rules and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: setup ## mypy, strict
	$(BIN)/mypy

layers: setup ## import-linter: which package may import which
	$(BIN)/lint-imports

crds: setup ## write crds/ from the API's types
	$(BIN)/python -m sparksweep.api.crd crds

crds-check: setup ## fail when crds/ is not what the types say
	@scripts/check-crds

unit: setup ## pytest, with local runs on Spark; narrow it with ARGS="tests/search -k grid"
	$(BIN)/pytest $(ARGS)

bench: setup ## run every benchmark
	@scripts/bench

lock: setup ## write requirements.lock from pyproject.toml; UPGRADE=1 takes the newest versions
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --generate-hashes --python-version 3.11 \
		--custom-compile-command 'make lock' --quiet $(if $(UPGRADE),--upgrade) --output-file requirements.lock

format: setup ## let ruff format and mend what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## remove what was built and cached, and .venv; runs/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	find sdk operator trainer_image tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} +
