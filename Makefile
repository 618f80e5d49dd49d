# `make demo` and `make test` do everything on a fresh machine: they make .venv and install into it first.
PYTHON ?= python3
BIN := .venv/bin
OUT := build/demo
BACKENDS := tensorflow jax torch

export TF_CPP_MIN_LOG_LEVEL := 3

.PHONY: demo test soak lint bench docs clean
demo: .venv/installed
	$(BIN)/python -m samestep.parity --out $(OUT)

test: .venv/installed
	$(BIN)/python -m pytest -q tests/core tests/exchange tests/lightning tests/parity tests/examples
	set -e; for backend in $(BACKENDS); do \
		echo "Keras on $$backend"; KERAS_BACKEND=$$backend $(BIN)/python -m pytest -q tests/keras; \
	done

# The sweeps of which the tests run a sample; they take some minutes and write docs/soak.md.
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

# torch comes first and by itself: pulled in by another package, it would be a build with several GB of CUDA libraries.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv build
