# make run    the demo: retrain on the built-in table        make quick  the quick tests, before each commit (a minute)
# make lint   style, types, imports                          make test   all tests; PYTEST_ARGS=... adds options
# make format reformat the code                              make bench  speed and memory (half an hour)
# make fuzz   hostile inputs by the thousand; FUZZ=100 tries fewer, FUZZ_SEED=N others
# make docs   the documentation site, links checked
# make lock   pin every dependency with its hashes            make audit  known vulnerabilities, and a bill of materials
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
COMMA := ,
EXTRAS := dask postgres s3 delta iceberg lancedb lineage sql signing field

.PHONY: run quick test lint docs format bench fuzz lock audit clean
.DEFAULT_GOAL := run

$(RUNTIME): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed (or: make PYTHON=python3.12)" >&2; exit 1; }
	@echo "Installing varjepa and what it needs into $(VENV): PyTorch, Polars, MLflow, Prefect, Great Expectations and others." >&2
	@echo "This downloads hundreds of megabytes and takes minutes, once. Interrupted, the same command starts it again." >&2
	$(PYTHON) -m venv $(VENV)
	$(PIP) 'pip>=25.1'
	$(PIP) --editable .
	@touch $@
	@echo "Installed." >&2

$(INSTALLED): $(RUNTIME)
	@echo "Installing what the tests, the linters and the documentation need." >&2
	$(PIP) --editable '.[$(subst $() ,$(COMMA),$(EXTRAS))]' --group dev
	@touch $@

run: $(RUNTIME)
	$(BIN)/varjepa demo

# Workers share the tests by file; with more than one thread each they would wait for each other. On tables of a few rows
# threads of Polars do little but hand over to each other: half of all switches between threads. The commands that tests
# start, hundreds of them, need half a second less if the code is compiled once.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 \
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

quick: $(INSTALLED)
	$(PYTEST) -m 'not slow' tests/unit tests/property $(PYTEST_ARGS)

test: $(INSTALLED)
	$(PYTEST) $(PYTEST_ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Links and anchors are checked; nothing on the pages is loaded from elsewhere.
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The documentation is in build/site; to read it: python3 -m http.server --bind 127.0.0.1 --directory build/site"

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

fuzz: $(INSTALLED)
	FUZZ=$(or $(FUZZ),10000) OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/property/fuzz tests/flows/test_fuzzed_*.py \
		tests/flows/test_serving.py $(PYTEST_ARGS)

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks

# Versions and hashes of all dependencies and extras, for every platform; no index is written into it.
lock: $(INSTALLED)
	$(PIP) --group audit
	$(BIN)/uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-header --no-annotate \
		--no-emit-index-url $(EXTRAS:%=--extra %) --output-file requirements.lock

# The list of vulnerabilities comes over the network. The bill of materials describes what is installed here.
audit: $(INSTALLED)
	$(PIP) --group audit
	@mkdir -p build
	$(BIN)/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-file build/sbom.json
	$(BIN)/pip-audit --require-hashes --disable-pip --strict --requirement requirements.lock

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
