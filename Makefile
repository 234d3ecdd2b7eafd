# make run    the demo: retrain on the built-in table        make quick  the tests of a minute, before each commit
# make lint   style, types, imports                          make test   all tests; PYTEST_ARGS=... adds options
# make format reformat the code                              make bench  speed and memory (half an hour)
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: run quick test lint format bench clean
.DEFAULT_GOAL := run

$(INSTALLED): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed (or: make PYTHON=python3.12)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

run: $(INSTALLED)
	$(BIN)/varjepa retrain configs/demo.yaml

# Workers share the tests by file; with more than one thread each they would wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

quick: $(INSTALLED)
	$(PYTEST) -m 'not slow' tests/unit tests/property $(PYTEST_ARGS)

test: $(INSTALLED)
	$(PYTEST) $(PYTEST_ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
