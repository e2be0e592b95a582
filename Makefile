# Everything runs from a virtual environment in .venv, made on first use and refreshed when
# pyproject.toml or constraints.txt change. Needs Python 3.11 or later, and its venv module.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
READY := .venv/ready

.PHONY: quickstart test test-slow check clean
.DELETE_ON_ERROR:

quickstart: $(READY)
	$(BIN)/flexp quickstart

# A core for each process, and one thread in it: more of either only wait for each other.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" \
		-n logical --maxprocesses 8 --dist worksteal

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	MYPYPATH=.venv/src $(BIN)/mypy -p flexp

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# torch goes first, on its own, so that its large download is seen to be that. .venv/src/flexp
# leads mypy to the package, whose folder is the repository's root whatever its name.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "flexp needs Python 3.11 or later: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) install --quiet --upgrade -c constraints.txt pip
	$(PIP) install -c constraints.txt torch
	@echo "installing flexp and its other dependencies ..."
	$(PIP) install -qq -c constraints.txt -e '.[dev]'
	mkdir -p .venv/src && ln -sfn ../.. .venv/src/flexp
	touch $@
