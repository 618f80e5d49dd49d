"""What the tests of every framework begin with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from samestep.core.specs.spec import Spec

from .oracles import SPECS, Workload
from .recipe_changes import CHANGES, Change

# How long an example takes is up to the machine and its load.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(params=SPECS)
def every_spec(request: pytest.FixtureRequest) -> Spec:
    """A spec for each of the options, and for some of them together."""
    return SPECS[request.param]


@pytest.fixture(scope="session")
def workload() -> Workload:
    """1,000 updates; each of the four slices of `k` has gradients of another scale."""
    generator, scales = np.random.default_rng(0), np.array([1.0, 1e-3, 1e-6, 1e-8])[:, None, None]
    starts = tuple(generator.standard_normal(shape).astype("float32") for shape in ((4, 16, 8), (8,)))
    gradients = [
        (
            (generator.standard_normal((4, 16, 8)) * scales).astype("float32"),
            generator.standard_normal(8).astype("float32"),
        )
        for _ in range(1000)
    ]
    return Workload(starts, gradients)  # type: ignore[arg-type]


@pytest.fixture(params=CHANGES)
def change(request: pytest.FixtureRequest) -> Change:
    """A recipe that a run was trained with, and another that it continues with."""
    return CHANGES[request.param]
