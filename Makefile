# Everything a person or CI runs. Needs Python 3.11 to 3.13 and make; the rest is installed into .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= -n 2 --dist worksteal
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c .ci/constraints.txt

.PHONY: compare test test-all test-jax check bench notebooks clean

compare: $(VENV)/.installed  ## the main job: the duel on scikit-learn's digits
	$(BIN)/touchstone compare digits hog_svm lbp_svm cnn --out runs/digits

test: $(VENV)/.installed-dev  ## the tests, on the default backend
	$(BIN)/python -m pytest $(WORKERS)

test-all: $(VENV)/.installed-dev  ## those too that take minutes for little news
	$(BIN)/python -m pytest $(WORKERS) -m ""

test-jax: $(VENV)/.installed-jax  ## the tests marked for it, on the JAX backend
	KERAS_BACKEND=jax $(BIN)/python -m pytest $(WORKERS) -m "jax and not thorough"

check: $(VENV)/.installed-dev  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed-dev  ## ratios against what a user would pick instead
	set -e; for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script; done

notebooks: $(VENV)/.installed-dev  ## run the notebooks in place, keeping their outputs
	$(BIN)/python notebooks/run.py

clean:
	rm -rf $(VENV) runs .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"Expected Python 3.11 to 3.13. Received {v[0]}.{v[1]} ({sys.executable}). Name another: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

# A stamp stands for what is installed: it is older than pyproject.toml when that changed.
$(VENV)/.installed: pyproject.toml .ci/constraints.txt | $(VENV)/bin/python
	$(PIP) -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml .ci/constraints.txt | $(VENV)/bin/python
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-jax: $(VENV)/.installed-dev
	$(PIP) -e '.[dev,jax]'
	@touch $@
