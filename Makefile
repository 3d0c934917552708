# The commands of the project. `make run` and `make test` need only Python ≥ 3.11, make and git.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
CONFIG ?=
ONLY   ?=

.PHONY: run test setup lint bench lock clean
.DEFAULT_GOAL := run

run: setup                      ## the demo, or the real thing with CONFIG=vigie.yaml
ifeq ($(CONFIG),)
	$(BIN)/vigie demo
else
	$(BIN)/vigie run --config $(CONFIG)
endif

test: $(VENV)/dev.stamp         ## the whole test suite
	$(BIN)/python -m pytest

setup: $(VENV)/run.stamp        ## only the .venv with the command vigie

lint: $(VENV)/dev.stamp         ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/dev.stamp        ## one JSON line per benchmark; ONLY=name for one of them
	@$(BIN)/python -m tests.bench $(ONLY)

lock: $(VENV)/dev.stamp         ## resolve again; the locks carry hashes and no addresses
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --extra demo -o requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --extra demo --group pyproject.toml:dev -o requirements-dev.lock pyproject.toml

clean:
	rm -rf $(VENV) build dist *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Vigie needs Python 3.11 or newer; say which with: make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
