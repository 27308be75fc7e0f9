# The words of this repository. Every target makes .venv by itself from Python 3.11 or newer, and reuses it while the locks stand.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo campaign rehearse test shuffled apart matrix runbooks released check lint types imports collect \
	stale reference docs bench lock clean

PYTHON := .venv/bin/python
BURST := .venv/bin/burst
TYPED := $(wildcard burst tests locustfiles)
WORKERS ?= 4
ARGS ?=
ifndef SEED
SEED := $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')
endif
# The tests start a thousand Pythons: where bytecode is not kept, each compiles burst anew.
unexport PYTHONDONTWRITEBYTECODE
# Whole runs on the simulated AWS: each is a dozen processes with leases and deadlines of seconds, so few at a time.
REHEARSED := tests/matrix tests/faults/test_takeover.py tests/acceptance/test_rehearse.py tests/infra/test_applied.py \
	tests/runbooks/test_rehearsed.py
# Few, and they wait for no other: only their files are collected.
ALONE = $(shell grep -rl --include='test_*.py' 'pytest\.mark\.alone' tests)
# With ARGS="-k ..." a part may select no test, which is pytest's exit 5.
OR_NONE := || [ $$? -eq 5 ]

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  ARGS=... is passed on by demo, campaign, rehearse, test, shuffled, apart, runbooks, matrix, bench and lock; BASE_PYTHON=... makes .venv with that Python"

demo: ## the whole story on this machine: baseline, burst, verdict, report
	@scripts/environment run
	@$(BURST) demo $(ARGS)

campaign: ## a campaign on this machine: window, burst on HOLD, its reopening, soak, recovery, second run, roll-up
	@scripts/environment run
	@$(BURST) demo --campaign $(ARGS)

rehearse: ## the example plan for ECS on a simulated AWS on this machine; ARGS="--fault ecs-down@15+10" and so on
	@scripts/environment rehearse
	@$(BURST) rehearse runbooks/plans/ecs.yaml $(ARGS)

define TESTS
$(PYTHON) -m pytest $(ORDER) -n $(WORKERS) -m "not alone" $(addprefix --ignore=,$(REHEARSED)) $(ARGS) $(OR_NONE)
$(PYTHON) -m pytest $(ORDER) -n $(WORKERS) -m "not alone" $(REHEARSED) $(ARGS) $(OR_NONE)
$(PYTHON) -m pytest $(ORDER) -m alone $(ALONE) $(ARGS) $(OR_NONE)
endef

test: check ## everything CI runs: check, then the tests (most of them wait, so more workers than cores)
	$(TESTS)

shuffled: ORDER := -p randomly --randomly-seed=$(SEED) --randomly-dont-reset-seed
shuffled: ## every test in a random order; SEED=... for one order again
	@scripts/environment dev
	@echo "make shuffled SEED=$(SEED) has this order again"
	$(TESTS)

apart: ## every test file alone, in a process of its own; ARGS=tests/unit for some
	@scripts/environment dev
	WORKERS=$(WORKERS) $(PYTHON) -m tests.apart $(ARGS)

runbooks: ## every command of every runbook, the rehearsals too (a quarter of an hour)
	@scripts/environment dev
	BURST_RUNBOOKS=all $(PYTHON) -m pytest -n 2 tests/runbooks $(ARGS)

matrix: ## every fault in every phase of a run; writes docs/matrix.md
	@scripts/environment dev
	WORKERS=$(WORKERS) $(PYTHON) -m tests.matrix $(ARGS)

released: ## the wheel in an empty environment, then real runs whose documents every later version has to read
	@scripts/environment dev
	$(PYTHON) -m tests.released.empty_environment
	$(PYTHON) -m tests.released

check: ## ruff, mypy, the direction of imports, the tests' collection and the reference pages, side by side
	@scripts/environment dev
	@$(MAKE) --no-print-directory --jobs=4 lint types imports collect stale

lint: ## ruff
	@scripts/environment dev
	$(PYTHON) -m ruff check .

types: ## mypy --strict over burst, tests and locustfiles
	@scripts/environment dev
	$(PYTHON) -m mypy --strict $(TYPED)

imports: ## the direction of imports (.importlinter)
	@scripts/environment dev
	.venv/bin/lint-imports

collect: ## whether every test can be collected; the workers of `make test` then find the tests compiled
	@scripts/environment dev
	@seen=$$($(PYTHON) -m pytest --collect-only -qq 2>&1) || { echo "$$seen"; exit 1; }

stale: ## whether the pages of docs/reference are what the program says; make reference writes them again
	@scripts/environment dev
	$(PYTHON) -m tests.reference_pages --check

reference: ## the pages of docs/reference, from the models and the command line
	@scripts/environment dev
	$(PYTHON) -m tests.reference_pages

docs: ## the pages as a site, in build/site; any warning ends it
	@scripts/environment dev
	$(PYTHON) -m sphinx --builder=html --fail-on-warning --keep-going --quiet --conf-dir=docs/site . build/site
	@echo "open build/site/index.html"

bench: ## measured figures
	@scripts/environment dev
	$(PYTHON) -m tests.bench $(ARGS)

# The command of a lock stands in its header, and Renovate gives it again: options with a value have an = between them.
COMPILE = $(PYTHON) -m uv pip compile --quiet pyproject.toml --group=build --universal --python-version=3.11 \
	--generate-hashes --no-strip-extras

lock: ## the locks anew from pyproject.toml; ARGS=--upgrade takes newer versions
	@scripts/environment bare
	@$(PYTHON) -m pip --disable-pip-version-check -qq install uv
	$(COMPILE) --extra=load --extra=sandbox --output-file=requirements/run.lock $(ARGS)
	$(COMPILE) --extra=load --extra=sandbox --extra=rehearsal --constraint=requirements/run.lock \
		--output-file=requirements/rehearse.lock $(ARGS)
	$(COMPILE) --extra=load --constraint=requirements/run.lock --output-file=requirements/image.lock $(ARGS)
	$(COMPILE) --extra=dev --constraint=requirements/rehearse.lock --output-file=requirements/dev.lock $(ARGS)

clean: ## removes .venv and every cache
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
