# The commands of the project. `make run` and `make test` need only Python ≥ 3.11, make and git.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
CONFIG ?=
ONLY   ?=
# most tests wait for servers: more at a time than there are cores
JOBS   ?= 4

.PHONY: help run test setup lint bench sender grafana pictures up lock clean
.DEFAULT_GOAL := run

help:                           ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

run: setup                      ## the demo, or the real thing with CONFIG=vigie.yaml
ifeq ($(CONFIG),)
	$(BIN)/vigie demo
else
	$(BIN)/vigie run --config $(CONFIG)
endif

test: $(VENV)/dev.stamp         ## the whole test suite
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup

setup: $(VENV)/run.stamp        ## only the .venv with the command vigie

lint: $(VENV)/dev.stamp         ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# READINGS and TRACES: how many the store is filled with (tests/bench/store.py)
# the mail benchmark runs in an environment of its own, beside libraries the service must not share one with
bench: export READINGS := $(READINGS)
bench: export TRACES := $(TRACES)
bench: $(VENV)/dev.stamp $(if $(filter-out mail,$(ONLY)),,$(VENV)/bench.stamp)  ## one JSON line each; ONLY=name
	@$(if $(filter mail,$(ONLY)),,$(BIN)/python -m tests.bench $(or $(ONLY),store decision gate_http dnsbl))
	@$(if $(filter-out mail,$(ONLY)),,$(VENV)/bench/bin/python -m tests.bench mail)

sender: | $(VENV)/bin/python    ## the sender module alone as a wheel in dist/: standard library only
	@$(BIN)/python -m monitor.sender.wheel dist

grafana: $(VENV)/grafana.stamp  ## .venv/grafana/bin/vigie, which can publish dashboards: an environment of its own

pictures: $(VENV)/dev.stamp     ## the README's pictures, made anew from the demo by a real browser; needs PostgreSQL and chromium
	$(BIN)/python -m tests.pictures

up:                             ## containers: PostgreSQL, Vigie, Grafana (compose.yaml); needs Docker
	@$(PYTHON) deploy/make_secrets.py secrets
	docker compose up --detach --build

lock: $(VENV)/dev.stamp         ## resolve again; the locks carry hashes and no addresses
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --extra demo --extra reports -o requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --extra demo --extra reports --group pyproject.toml:dev -o requirements-dev.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --extra demo --extra reports --group pyproject.toml:dev --group pyproject.toml:bench \
	  -o requirements-bench.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --extra grafana -o requirements-grafana.lock pyproject.toml

clean:                          ## all that was made here
	rm -rf $(VENV) build dist *.egg-info

# set-up says what it does on standard error: standard output belongs to the commands
PIP = -m pip install --quiet --disable-pip-version-check

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Vigie needs Python 3.11 or newer; say which with: make PYTHON=python3.12" >&2; exit 2; }
	@echo "making $(VENV) …" >&2
	@$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "installing Vigie and what it needs into $(VENV) …" >&2
	@$(BIN)/python $(PIP) --require-hashes -r requirements.lock >&2
	@$(BIN)/python $(PIP) --no-deps --editable . >&2
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock $(VENV)/run.stamp
	@echo "installing what the tests need …" >&2
	@$(BIN)/python $(PIP) --require-hashes -r requirements-dev.lock >&2
	@touch $@

$(VENV)/bench.stamp: requirements-bench.lock | $(VENV)/bin/python
	@echo "installing the libraries to be measured beside into $(VENV)/bench …" >&2
	@$(PYTHON) -m venv $(VENV)/bench
	@$(VENV)/bench/bin/python $(PIP) --require-hashes -r requirements-bench.lock >&2
	@$(VENV)/bench/bin/python $(PIP) --no-deps --editable . >&2
	@touch $@

$(VENV)/grafana.stamp: requirements-grafana.lock | $(VENV)/bin/python
	@echo "installing grafana-client into $(VENV)/grafana …" >&2
	@$(PYTHON) -m venv $(VENV)/grafana
	@$(VENV)/grafana/bin/python $(PIP) --require-hashes -r requirements-grafana.lock >&2
	@$(VENV)/grafana/bin/python $(PIP) --no-deps --editable . >&2
	@touch $@
