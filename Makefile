# Everything runs in a private virtual environment in .venv; nothing is installed globally.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
# Most of the suite waits for processes and servers, so that two cores carry four workers.
PYTEST_WORKERS ?= 4
MINUTES ?= 10
JOBS ?= 0

.PHONY: help demo dev test test-pythons test-slow faults soak bench bench-smoke lint types layers twin audit sbom check format clean

help:  ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.run  ## Run the main job end to end: e-mails, exports, retries
	@umask 022 && $(BIN)/oxcart demo
	@! find .oxcart -perm /077 ! -type l | grep . || { echo "others may read these files"; exit 1; }

dev: $(VENV)/.run  ## Run API, worker, Valkey and mailbox until Ctrl-C
	@$(BIN)/oxcart dev

test: $(VENV)/.dev  ## Run the whole suite
	@$(BIN)/python -m pytest -q -n $(PYTEST_WORKERS) --dist worksteal -m "not slow"

test-pythons: $(VENV)/.dev  ## Run the core of the suite on every other Python at hand
	@$(BIN)/python scripts/test_pythons.py

test-slow: $(VENV)/.dev  ## Run the long fault runs
	@$(BIN)/python -m pytest -q -m slow --timeout 900

faults: $(VENV)/.dev  ## Run the whole catalogue of faults (long) and write the table into the docs
	@$(BIN)/python -m tests.faults.catalogue all --save --jobs 3; code=$$?; \
	  $(BIN)/python -m tests.faults.catalogue report; exit $$code

soak: $(VENV)/.dev  ## Run random faults under load: make soak MINUTES=10 [SEED=7] [JOBS=1000000]
	@$(BIN)/python -m tests.faults.catalogue soak --save --minutes $(MINUTES) --jobs $(JOBS) $(if $(SEED),--seed $(SEED))

bench: $(VENV)/.dev  ## Measure everything beside its peers (long) and write the figures into the docs
	@$(BIN)/python -m benchmarks run --workload all --save all --limit 1200; $(BIN)/python -m benchmarks report

bench-smoke: $(VENV)/.dev  ## Try out every workload at a tiny size
	@$(BIN)/python -m benchmarks run --workload all --systems oxcart,floor --smoke

lint: $(VENV)/.dev  ## Check style and formatting
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/bandit --quiet --recursive --configfile pyproject.toml src scripts deploy 2>&1

types: $(VENV)/.dev  ## Check types
	@$(BIN)/mypy

layers: $(VENV)/.dev  ## Check that imports point down
	@$(BIN)/lint-imports --no-logo

twin: $(VENV)/.dev  ## Check that the blocking twin is fresh
	@$(BIN)/python scripts/sync_twin.py --check

audit: $(VENV)/.dev  ## Check the locked packages for vulnerabilities and withdrawn releases
	@$(BIN)/python scripts/audit.py $(if $(STRICT),--strict)

sbom: $(VENV)/.dev  ## Write the bill of materials of the server (CycloneDX) to dist/sbom.cdx.json
	@mkdir -p dist && PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements requirements/server.txt --pyproject pyproject.toml \
	  --mc-type application --output-reproducible --of JSON -o dist/sbom.cdx.json

check: lint types layers twin  ## All static checks

format: $(VENV)/.dev  ## Format the code
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

clean:  ## Remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "oxcart needs Python 3.11 or newer; run: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up $(VENV) (once) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python requirements/run.txt pyproject.toml
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@
