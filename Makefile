# The developer's interface. Every target sets .venv up first, which takes no time when it is.
# `make` and `make help` list the targets.

MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help
BIN := .venv/bin

CLUSTER := PYTHONPATH=tests $(BIN)/python -m cluster

# How many nodes `make cluster-up` starts.
NODES ?= 2

# How many processes run tests side by side; JOBS=0: one, this one, which a debugger needs.
JOBS ?= 2
PYTEST := $(BIN)/pytest --numprocesses $(JOBS) --dist loadgroup --durations 25

# COVERAGE=1 makes `make test` and `make unit` print the coverage in total and of the ten modules with the least. It costs
# half as much time again on the pure core; Python 3.11 has no cheaper tracer.
ifdef COVERAGE
COVERAGE_ARGS := --cov --cov-report=
COVERAGE_REPORT := $(BIN)/coverage report --sort cover | sed -n '1,12p; /^TOTAL/p'
else
COVERAGE_REPORT := :
endif

# Which image `make image` builds.
IMAGE ?= all

.PHONY: help setup demo wheel test test-full test-extras test-chaos test-e2e test-vm test-vm-node lint types layers crds crds-check chart chart-check
.PHONY: docs docs-check reference hooks imports unit control-plane bench lock format clean
.PHONY: cluster-up cluster-down cluster-load image

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: ## make .venv from requirements.lock (installs python3-venv with apt-get if missing)
	@scripts/setup

demo: setup ## run examples/digits-grid.yaml on this machine
	@$(BIN)/sparksweep run examples/digits-grid.yaml

wheel: setup ## build dist/sparksweep-VERSION-py3-none-any.whl
	@$(BIN)/python -m hatchling build -t wheel -d dist

test: lint types layers crds-check chart-check docs-check ## all checks and tests that a commit must pass; some on a Kubernetes API server
	$(PYTEST) $(COVERAGE_ARGS) -m 'not nodes and not extras and not chaos and not vm' $(ARGS)
	@$(COVERAGE_REPORT)

test-full: setup ## the property tests with all their examples
	$(PYTEST) -m 'hypothesis and not control_plane and not nodes and not vm' --hypothesis-profile full $(ARGS)

test-extras: setup ## tests of each extra alone, installed from the wheel
	$(PYTEST) -m extras $(ARGS)

test-chaos: setup ## crashes at every write, and ten seeds of faults, on a Kubernetes API server
	$(PYTEST) -m chaos $(ARGS)

# Where no nodes can run (3), none needs images, and the tests say why they are skipped; a cluster that is named has its own.
test-e2e: setup ## the tests on real Kubernetes nodes; builds the images first
	@[ -n "$$SPARKSWEEP_TEST_KUBECONFIG" ] || if $(CLUSTER) build; then scripts/image; else [ $$? = 3 ]; fi
	$(PYTEST) -m nodes $(ARGS)

test-vm: setup ## the slot and its trials in containers with cgroup v2, in an emulated machine
	$(BIN)/pytest -m 'vm and not vm_node' --durations 25 $(ARGS)

test-vm-node: setup ## an experiment on a whole node with cgroup v2, in an emulated machine; half an hour, in no other target
	scripts/image
	$(BIN)/pytest -m vm_node $(ARGS)

lint: setup ## ruff: rules and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: setup ## mypy, strict: the packages, tests, benchmarks and scripts
	$(BIN)/mypy

layers: setup ## import-linter: allowed imports between packages
	$(BIN)/lint-imports
	$(BIN)/python scripts/imports

imports: setup ## print the imports between folders
	@$(BIN)/python scripts/imports

crds: setup ## write crds/, the chart's copy and docs/reference.md from the API's types
	$(BIN)/python -m sparksweep_core.api.crd crds
	$(BIN)/python scripts/chart
	$(BIN)/python scripts/reference

crds-check: setup ## fail if crds/ differs from the types
	@scripts/check-crds

chart: setup ## write the chart's CRDs from crds/, and its README from values.yaml
	$(BIN)/python scripts/chart

chart-check: setup ## fail if they are out of date
	$(BIN)/python scripts/chart --check

reference: setup ## write docs/reference.md from crds/
	$(BIN)/python scripts/reference

docs-check: setup ## fail if docs/reference.md is out of date
	$(BIN)/python scripts/reference --check

docs: setup ## build the documentation as a site into dist/docs; a warning is an error
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet --builder html docs dist/docs
	@echo 'docs: dist/docs/index.html'

hooks: setup ## install the quick checks as git hooks
	$(BIN)/pre-commit install --hook-type pre-commit --hook-type pre-push

unit: setup ## tests that need no Kubernetes; narrow it with ARGS="tests/core/algorithms -k grid" MARK="not spark"
	$(PYTEST) $(COVERAGE_ARGS) -m 'not control_plane and not nodes and not extras and not chaos and not vm$(if $(MARK), and ($(MARK)))' $(ARGS)
	@$(COVERAGE_REPORT)

control-plane: setup ## tests on a Kubernetes API server that runs no pods
	$(BIN)/pytest -m 'control_plane and not nodes and not extras and not chaos and not vm' $(ARGS)

cluster-up: setup ## start a Kubernetes for tests on this machine (as root; compiled the first time); NODES=0 for no nodes
	@$(CLUSTER) up --nodes $(NODES)

cluster-down: setup ## remove that Kubernetes
	@$(CLUSTER) down

cluster-load: setup ## load images on its nodes: FILES="a.tar b.tar"
	@$(CLUSTER) load $(FILES)

image: setup ## build the container images into dist/images (as root, with buildah); IMAGE=trainer or operator for one
	@scripts/image $(IMAGE)

bench: setup ## run every benchmark
	@scripts/bench

lock: setup ## write requirements.lock from pyproject.toml; UPGRADE=1 takes the newest versions
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --universal --generate-hashes --python-version 3.11 \
		--custom-compile-command 'make lock' --quiet $(if $(UPGRADE),--upgrade) --output-file requirements.lock

format: setup ## run ruff's formatter and automatic fixes
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## remove build outputs, caches and .venv; runs/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage dist
	find core sdk operator trainer_image tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} +
