from __future__ import annotations

import pytest

from samestep import AdamW, CosineDecay, Recipe, StepDecay, epochs, percent
from samestep.parity import ParityResult, check


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return Recipe(
        AdamW(learning_rate=2e-3, weight_decay=0.1),
        learning_rate=StepDecay(0.3, every=epochs(2), first=epochs(4)),
        weight_decay=CosineDecay(over=percent(100), end=0.1),
    )


@pytest.fixture(scope="session")
def result(recipe: Recipe) -> ParityResult:
    """The demonstration itself: every framework, with samestep and with the stock optimizers."""
    return check(recipe, stock=True)
