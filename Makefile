# Two commands for a newcomer: `make demo` and `make test`. Both set everything up first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready

.PHONY: demo test check tools proof bench setup lock lint types clean

demo: setup          ## audit the sample logs, print the report, and show it in the dashboard until Ctrl-C
	@$(BIN)/auditor check sample_logs --fail-on never
	@if [ -t 1 ]; then $(BIN)/auditor dashboard sample_logs --folder build/demo; \
	  else echo; echo "See it in the dashboard: $(BIN)/auditor dashboard sample_logs"; fi

test: check          ## everything: lint, types, all tests

check: lint tools    ## types are checked beside the tests: they leave a core idle now and then
	@$(BIN)/mypy & types=$$!; \
	  $(BIN)/python -m pytest -q -n 2 --dist loadfile; tests=$$?; \
	  wait $$types && exit $$tests

tools:               ## the PostgreSQL and the Chromium that the tests start, installed where that is possible
	@missing=; \
	command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing=postgresql; \
	command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing="$$missing chromium"; \
	if [ -n "$$missing" ] && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends $$missing >/dev/null || true; \
	fi

proof: setup         ## the long runs
	$(BIN)/python -m pytest -q -m proof

EVENTS ?= 1000000
bench: setup         ## measure against the targets; EVENTS=10000000 for what only a large log shows
	$(BIN)/python -m tests.benchmarks --events $(EVENTS)
	$(BIN)/python -m tests.benchmarks.appends
	$(BIN)/python -m tests.benchmarks.simulations
	$(BIN)/python -m tests.benchmarks.browsing

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

setup: $(STAMP)      ## leaves the command at .venv/bin/auditor

$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "auditor needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	    "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

lock:                ## resolve requirements.lock anew, for every platform and Python we support
	$(PYTHON) -m venv --clear .lock-venv
	.lock-venv/bin/python -m pip install --quiet uv
	.lock-venv/bin/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --quiet --custom-compile-command 'make lock' --output-file requirements.lock
	rm -rf .lock-venv

clean:
	rm -rf $(VENV) .lock-venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
