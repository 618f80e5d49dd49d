"""What drove the runs whose states are in this folder, and every value that they use; see README.md.

Each has four epochs of four batches. Rates are powers of two, so every value is exact in float32. The saved recipe
names `halved` by this module: neither may move.
"""

from __future__ import annotations

from typing import Any

from samestep import (
    SGDW,
    EpochFunction,
    LinearDecay,
    ParameterRule,
    Recipe,
    StepDecay,
    Warmup,
    epochs,
    percent,
    updates,
)

EPOCHS, BATCHES = 4, 4
RATE = 2**-4
SPEC = SGDW(RATE, 0.25, 0.5, parameters=[ParameterRule(role="bias", learning_rate=2, weight_decay=0)])
SCORES = [1.0, 1.0, 1.0, 1.0]  # of each epoch; all but the first are no better


def halved(epoch: int) -> float:
    return 0.5**epoch


def halving(epoch: int, rate: float) -> float:
    return rate / 2 if epoch else rate


def scheduler(momentum: float = 0.5) -> Recipe:
    """Followed with resolution="epoch"."""
    return Recipe(
        SPEC,
        learning_rate=LinearDecay(over=percent(100)),
        weight_decay=EpochFunction(halved),
        momentum=StepDecay(momentum, every=epochs(1)),
    )


PLATEAU = Recipe(SPEC, learning_rate=LinearDecay(over=percent(100)))


def two_optimizers(decay: float = 0.5) -> dict[str | int, Recipe]:
    return {
        "generator": Recipe(SGDW(RATE, 0.0), learning_rate=Warmup(over=updates(12), start=0.25)),
        "discriminator": Recipe(
            SGDW(RATE, 0.5),
            learning_rate=LinearDecay(over=epochs(4)),
            weight_decay=StepDecay(decay, every=epochs(1)),
        ),
    }


def of_epochs(*values: float) -> list[float]:
    """The values of a run's updates, from those of its epochs."""
    return [value for value in values for _ in range(BATCHES)]


def scheduled(momentum: float = 0.5) -> dict[str, list[float]]:
    rates = of_epochs(*(RATE * (1 - epoch / 4) for epoch in range(EPOCHS)))
    return {
        "learning_rate": rates,
        "learning_rate/1": [2 * rate for rate in rates],
        "weight_decay": of_epochs(*(0.25 * 0.5**epoch for epoch in range(EPOCHS))),
        "weight_decay/1": of_epochs(0, 0, 0, 0),
        "momentum": of_epochs(*(0.5 * momentum**epoch for epoch in range(EPOCHS))),
    }


def gated(factor: float = 0.5) -> dict[str, list[float]]:
    return {"learning_rate": of_epochs(*(max(RATE * factor**epoch, RATE / 4) for epoch in range(EPOCHS)))}


def by_function(factor: float = 0.5) -> dict[str, list[float]]:
    return {"learning_rate": of_epochs(*(RATE * factor**epoch for epoch in range(EPOCHS)))}


def reduced(factor: float = 0.5) -> dict[str, list[float]]:
    left = of_epochs(1, 1, factor, factor**2)
    return {"learning_rate": [RATE * (1 - update / 16) * each for update, each in enumerate(left)]}


def of_generator(per_batch: int = 1) -> dict[str, list[float]]:
    return {"learning_rate": [RATE * min(0.25 + update / 16, 1) for update in range(16 * per_batch)]}


def of_discriminator(per_batch: int = 1, decay: float = 0.5) -> dict[str, list[float]]:
    count = 16 * per_batch
    return {
        "learning_rate": [RATE * (1 - update / count) for update in range(count)],
        "weight_decay": [0.5 * decay ** (update * EPOCHS // count) for update in range(count)],
    }


def check(trace: Any, expected: dict[str, list[float]], begin: int) -> None:
    """The trace has these values from update `begin` on."""
    for name, values in expected.items():
        assert trace.column(name) == values[begin:], name
