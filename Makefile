# Every habit of this repository is a target here; CI runs the same ones (.ci/run).

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
# Test processes; `make test workers=0` runs everything in one.
workers ?= 2
# What lint, fmt and types look at, for example `make fmt paths=ledger`.
paths ?= .
UV_VERSION := 0.13.9

RUNTIME := $(VENV)/.runtime-installed
COMMAND := $(VENV)/.command-installed
TESTING := $(VENV)/.test-installed
COMPILED := $(VENV)/.compiled
PEER := benchmarks/solidity/node_modules/.installed
ORACLES := tests/js/node_modules/.installed clients/js/node_modules/.installed $(PEER)
# What a compiled room is made of; a change makes it anew.
SOURCES := setup.py pyproject.toml $(wildcard crypto/*.py crypto/*.c ledger/*.py txtypes/*.py consensus/*.py storage/*.py rpc/*.py rpc/*/*.py light/*.py peers/*.py poolchain/*.py poolchain/*/*.py)
# Run with these, Python takes the rooms from where they are installed, and only what is not installed from here.
INSTALLED = $(abspath $(wildcard $(VENV)/lib/python3.*/site-packages))
AS_INSTALLED = PYTHONSAFEPATH=1 PYTHONPATH=$(INSTALLED):.
HAS_COMPILER = $(RUN)/python -c 'import pathlib, shutil, sysconfig; assert shutil.which("cc") and pathlib.Path(sysconfig.get_path("include"), "Python.h").exists()' 2>/dev/null
PIP := $(RUN)/python -m pip --disable-pip-version-check install --quiet

.DEFAULT_GOAL := help
.PHONY: help venv venv-test compiled devnet demo test test-compiled gate bench bench-quick docs lint types fmt lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(COMMAND) $(if $(wildcard $(COMPILED)),compiled) ## .venv with what the node needs, from requirements/runtime.txt
	@:

$(RUNTIME): requirements/runtime.txt
	@$(PYTHON) -c 'import sys; sys.exit("Poolchain needs Python 3.11 or newer." if sys.version_info < (3, 11) else 0)'
	@echo "Installing Poolchain into $(VENV) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) --require-hashes -r requirements/runtime.txt
	@touch $@

$(COMMAND): pyproject.toml $(RUNTIME)
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

compiled: $(COMPILED) ## the rules as machine code, nearly twice as fast: needs a C compiler and Python.h, takes a minute
	@:

# The installed command is then a copy: whoever has it once gets it anew after each change of a source.
$(COMPILED): $(SOURCES) requirements/compile.txt $(COMMAND)
	@if $(HAS_COMPILER); then \
	    echo "Compiling the rooms of the rules; this takes a minute or two ..." \
	    && $(PIP) --require-hashes -r requirements/compile.txt \
	    && rm -rf build/lib* build/bdist* \
	    && POOLCHAIN_COMPILE=1 $(PIP) --no-deps --no-build-isolation --force-reinstall . \
	    && touch $@; \
	else echo "There is no C compiler, or no Python.h (Debian: gcc, python3-dev): the rooms stay interpreted."; fi

venv-test: $(COMMAND) $(TESTING) ## the same with the tools for tests and checks
	@:

$(TESTING): $(RUNTIME) requirements/test.txt
	@echo "Installing the test tools into $(VENV) ..."
	@$(PIP) --require-hashes -r requirements/test.txt
	@touch $@

# Without npm, or where it fails, the tests that need it say so and are skipped.
$(ORACLES): %/node_modules/.installed: %/package-lock.json
	@if command -v npm >/dev/null; then \
	    cd $* && npm ci --silent --ignore-scripts --no-audit --no-fund >/dev/null \
	    && touch node_modules/.installed || echo "npm ci failed in $*"; \
	fi

devnet: venv ## a local chain with funded accounts; ARGS="--help" for its options
	@$(RUN)/poolchain devnet $(ARGS)

demo: venv ## the lives of two pools on a local chain
	@$(RUN)/poolchain demo $(ARGS)

test: venv-test $(ORACLES) ## all tests; k=EXPRESSION picks some, ARGS= goes to pytest
	@$(RUN)/pytest -n $(workers) --dist loadfile --max-worker-restart 0 $(if $(k),-k "$(k)") $(ARGS)

test-compiled: venv-test $(COMPILED) $(ORACLES) ## the same on the compiled rooms
	@$(AS_INSTALLED) $(RUN)/pytest -o pythonpath="$(INSTALLED) ." -m "not gate and not interpreted" -n $(workers) --dist loadfile --max-worker-restart 0 $(if $(k),-k "$(k)") $(ARGS)

vectors: venv-test ## make tests/vectors/*.json anew
	@$(RUN)/python -m tests.vectors.generate
	@$(RUN)/python -m tests.vectors.generate_proofs

gate: venv-test $(ORACLES) ## attacks and searches too long for every day, with their figures
	@$(RUN)/pytest -n $(workers) --dist load --max-worker-restart 0 -m gate -rP -o faulthandler_timeout=900 $(if $(k),-k "$(k)") $(ARGS)

bench: $(COMPILED) ## all benchmarks, beside what the processor allows and a peer; ARGS="--help" for parts
	@$(AS_INSTALLED) $(RUN)/python -m benchmarks $(ARGS)

bench-quick: $(COMPILED) ## the same in a small form: shows that it works, not how fast it is
	@$(AS_INSTALLED) $(RUN)/python -m benchmarks --quick $(ARGS)

# The contract's compiler and the node that it is measured on.
bench bench-quick: $(PEER)

docs: venv ## renew the generated parts of docs/rpc.md
	@$(RUN)/python -m rpc.reference docs/rpc.md

lint: venv-test ## ruff: rules and formatting
	@$(RUN)/ruff check $(paths)
	@$(RUN)/ruff format --check $(paths)

types: venv-test ## mypy, strict
	@$(RUN)/mypy $(filter-out .,$(paths))

fmt: venv-test ## format, and repair what ruff can repair
	@$(RUN)/ruff format $(paths)
	@$(RUN)/ruff check --fix $(paths)

lock: ## renew requirements/*.txt and the package-lock.json files
	@$(PYTHON) -m venv --clear build/lock
	@build/lock/bin/python -m pip --disable-pip-version-check install --quiet uv==$(UV_VERSION)
	@build/lock/bin/uv pip compile --quiet --universal --generate-hashes --upgrade \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	    --group build --output-file requirements/runtime.txt pyproject.toml
	@build/lock/bin/uv pip compile --quiet --universal --generate-hashes --upgrade \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	    --group build --group compile --constraint requirements/runtime.txt \
	    --output-file requirements/compile.txt pyproject.toml
	@build/lock/bin/uv pip compile --quiet --universal --generate-hashes --upgrade \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	    --group build --group test --constraint requirements/compile.txt \
	    --output-file requirements/test.txt pyproject.toml
	@for folder in tests/js clients/js benchmarks/solidity; do \
	    (cd $$folder && npm install --silent --package-lock-only --ignore-scripts --no-audit --no-fund) || exit 1; \
	done
	@node tests/js/strip_lock.mjs tests/js/package-lock.json clients/js/package-lock.json benchmarks/solidity/package-lock.json

clean: ## remove what make made (.venv, node_modules, caches)
	@rm -rf $(VENV) build tests/js/node_modules clients/js/node_modules benchmarks/solidity/node_modules *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
