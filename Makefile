# `make demo` and `make test` do everything on a fresh machine: they make .venv and install into it first.
PYTHON ?= python3
BIN := .venv/bin
OUT := build/demo
BACKENDS := tensorflow jax torch
PYTEST := $(BIN)/python -m pytest -q

export TF_CPP_MIN_LOG_LEVEL := 3

.PHONY: demo test test-versions test-core test-lightning test-parity test-conformance-torch other-libm package soak lint \
	bench docs mutants coverage types trust clean
demo: .venv/installed
	$(BIN)/python -m samestep.parity --out $(OUT)

# The suites run two at a time, each on one core; what each prints comes when it is done.
SUITES := lightning keras-tensorflow keras-jax keras-torch core parity conformance-torch
test: .venv/installed
	@OMP_NUM_THREADS=1 $(MAKE) --no-print-directory --jobs=2 --output-sync=target --keep-going $(SUITES:%=test-%)

test-core:
	$(PYTEST) tests/core tests/exchange tests/package/test_project.py tests/package/test_floors.py
test-lightning:
	$(PYTEST) tests/lightning
test-parity:
	$(PYTEST) tests/parity tests/examples tests/api
test-conformance-torch:
	$(PYTEST) tests/conformance/torch
test-keras-%:
	KERAS_BACKEND=$* $(PYTEST) tests/keras tests/conformance/keras

# A part of the tests in two more environments, of the oldest and of the newest versions; writes docs/versions.md.
test-versions: .venv/installed
	$(BIN)/python tests/versions

# The core's values again under another C library: musl, in Pyodide. Needs Node.js, and installs Pyodide into build/.
other-libm: .venv/installed
	$(BIN)/python tests/other_libm

# What users get: dist/, its metadata, and each extra of the wheel alone in an environment of its own.
package: .venv/installed
	rm -rf dist samestep.egg-info  # whose list of files an earlier build has left
	$(BIN)/python -m build --installer uv
	$(BIN)/twine check --strict dist/*
	$(BIN)/python -m pytest -q tests/package

# The sweeps of which the tests run a sample; they take a quarter of an hour and write docs/soak.md.
soak: .venv/installed
	$(BIN)/python tests/soak

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict plugins/core
	$(BIN)/mypy plugins examples benchmarks

bench: .venv/installed
	$(BIN)/python benchmarks/core.py
	$(BIN)/python benchmarks/lightning_write.py
	$(BIN)/python benchmarks/optimizers.py torch
	$(BIN)/python benchmarks/training.py lightning
	set -e; for backend in $(BACKENDS); do \
		KERAS_BACKEND=$$backend $(BIN)/python benchmarks/training.py keras; \
		KERAS_BACKEND=$$backend $(BIN)/python benchmarks/optimizers.py keras --tensors 10; \
	done

docs: .venv/installed
	$(BIN)/python docs/trainers.py

# The figures of docs/trust.md. `make mutants SAMPLE=3` tries at most 3 mutants of each module; all of them take hours.
mutants: .venv/figures
	OMP_NUM_THREADS=1 KERAS_BACKEND=torch $(BIN)/python tests/mutants $(if $(SAMPLE),--sample $(SAMPLE))

# All suites, under coverage.
coverage: .venv/figures
	rm -rf build/coverage
	mkdir -p build/coverage build/figures
	$(MAKE) test PYTEST='$(BIN)/coverage run -m pytest -q --junit-xml=build/figures/$$@.xml'
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage json --quiet -o build/figures/coverage.json

# From a folder of its own, since pyright checks installed packages only.
types: .venv/figures
	mkdir -p build/figures/types
	ln -sfn ../../../plugins build/figures/types/samestep
	-cd build/figures && PYTHONPATH=$(CURDIR)/build/figures/types $(CURDIR)/$(BIN)/pyright --verifytypes samestep \
		--ignoreexternal --pythonpath $(CURDIR)/$(BIN)/python --outputjson > types.json

trust: .venv/installed
	$(BIN)/python docs/trust.py

# torch comes first and by itself: pulled in by another package, it would be a build with several GB of CUDA libraries.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

.venv/figures: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[figures]'
	touch $@

clean:
	rm -rf .venv build
