"""What every test of Keras begins with."""

from __future__ import annotations

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import pytest

from samestep import AdamW


@pytest.fixture
def spec() -> AdamW:
    """Without betas a gradient of 1 moves a weight by exactly the learning rate."""
    return AdamW(0.125, 0.1, betas=(0.0, 0.0))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    keras.utils.set_random_seed(0)
