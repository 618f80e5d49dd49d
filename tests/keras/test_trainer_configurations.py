"""What the optimizer really uses in each configuration of the trainer is what the golden tables have, or it is refused.

The rows are data, in configurations.json: a name, the backends, the outcome ("exact", or the sentence of the refusal),
and how it is set up, or the test that has it. A weight of its own shows what each update used: with gradient 1 then and
0 otherwise, an update of plain SGD takes off the learning rate; all weights shrink by the weight decay. No attribute is
read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import pytest

from .trainers import BACKEND, DECAY, GOLDEN, RATE, RUN, WAYS, Kernels, Setting, driven, half, precision, start
from .versions import x64

ROWS = json.loads((Path(__file__).parent / "configurations.json").read_text())


def settings() -> Iterator[Any]:
    for row in ROWS:
        if BACKEND in row["backends"] and "test" not in row:
            yield pytest.param(row, id=row["name"])


@pytest.mark.parametrize("row", settings())
def test_configuration(row: dict[str, Any]) -> None:
    setting, kernels = Setting(**row["how"]), Kernels()
    with of_floatx(setting.floatx):
        if row["outcome"] == "exact":
            WAYS[setting.way](setting, kernels)
            assert kernels.left == expected(setting)
            return
        with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
            WAYS[setting.way](setting, kernels)
        assert str(caught.value) == row["outcome"]
        assert (kernels.batches == 0) == (row.get("noticed") is None)


@contextmanager
def of_floatx(floatx: str) -> Iterator[None]:
    """Within, Keras computes in this; jax has to be told besides that there is float64."""
    before = keras.config.floatx()
    keras.config.set_floatx(floatx)
    try:
        with x64(floatx == "float64"):
            yield
    finally:
        keras.config.set_floatx(before)


def expected(setting: Setting) -> list[list[list[float]]]:
    """What is left of each kernel after each epoch, if the updates use the values of the golden tables."""
    return [
        [
            simulated(setting, columns(*of), setting.examples * applies, epoch, setting.skipped * (epoch == begin == 0))
            for of, applies in zip(driven(setting), setting.applies, strict=True)
        ]
        for begin, end in setting.fits
        for epoch in range(begin, end)
    ]


def columns(families: dict[str, str], ours: bool) -> list[tuple[float, float]]:
    """Learning rate and weight decay of each update of the run."""
    found = {"learning_rate": [RATE] * RUN, "weight_decay": [DECAY if ours else 0.0] * RUN}
    found |= {name: GOLDEN[family]["values"] for name, family in families.items()}
    return list(zip(found["learning_rate"], found["weight_decay"], strict=True))


def simulated(setting: Setting, rows: list[tuple[float, float]], updates: int, epoch: int, skipped: int) -> list[float]:
    weights = start(setting)[:, 0].astype(precision(setting))
    for update in range(updates - skipped):
        rate, decay = rows[epoch * updates + update]
        weights *= weights.dtype.type(1 - rate * decay)
        weights[(update + skipped) * setting.examples // updates] -= weights.dtype.type(rate)
        if half(setting) is not None:
            weights = weights.astype(half(setting)).astype(weights.dtype)
    return [float(weight) for weight in weights]
