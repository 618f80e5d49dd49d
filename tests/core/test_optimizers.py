"""A spec is a value: every number is written down, checked when made, and compared by name."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from samestep import SGDW, AdamW

REFUSED = [
    ({"learning_rate": -1}, ValueError, "AdamW.learning_rate: found -1.0; expected a number of at least 0."),
    ({"learning_rate": "0.1"}, TypeError, "AdamW.learning_rate: found '0.1' (str); expected a number."),
    ({"learning_rate": True}, TypeError, "AdamW.learning_rate: found True (bool); expected a number."),
    ({"learning_rate": None}, TypeError, "AdamW.learning_rate: found None (NoneType); expected a number."),
    ({"learning_rate": float("inf")}, ValueError, "AdamW.learning_rate: found inf; expected a finite number."),
    ({"weight_decay": -0.1}, ValueError, "AdamW.weight_decay: found -0.1; expected a number of at least 0."),
    ({"weight_decay": float("nan")}, ValueError, "AdamW.weight_decay: found nan; expected a finite number."),
    ({"epsilon": 0}, ValueError, "AdamW.epsilon: found 0.0; expected a number greater than 0."),
    ({"betas": 0.9}, ValueError, "AdamW.betas: found 0.9; expected two numbers, such as (0.9, 0.999)."),
    ({"betas": (0.9, 0.99, 0.999)}, ValueError, "AdamW.betas: found (0.9, 0.99, 0.999); expected two numbers, such"),
    ({"betas": (0.9, 1.0)}, ValueError, "AdamW.betas: found (0.9, 1.0); expected two numbers in [0, 1)."),
    ({"betas": (-0.1, 0.9)}, ValueError, "AdamW.betas: found (-0.1, 0.9); expected two numbers in [0, 1)."),
    ({"betas": (0.9, "0.9")}, TypeError, "AdamW.betas: found '0.9' (str); expected a number."),
]


@pytest.mark.parametrize(("arguments", "error", "words"), REFUSED, ids=[words for _, _, words in REFUSED])
def test_a_bad_field_is_refused_by_name(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(words)}"):
        AdamW(**arguments)


def test_numbers_of_other_kinds_are_held_as_floats() -> None:
    spec = AdamW(learning_rate=1, weight_decay=np.float32(0.5), betas=[np.float64(0.5), 0], epsilon=np.int64(1))
    assert spec == AdamW(learning_rate=1.0, weight_decay=0.5, betas=(0.5, 0.0), epsilon=1.0)
    assert {type(x) for x in (spec.learning_rate, spec.weight_decay, *spec.betas, spec.epsilon)} == {float}


def test_a_repr_is_the_source_without_the_defaults_but_for_learning_rate_and_weight_decay() -> None:
    assert repr(AdamW()) == "AdamW(learning_rate=0.001, weight_decay=0.01)"
    assert repr(AdamW(1e-4, betas=(0.9, 0.95))) == "AdamW(learning_rate=0.0001, weight_decay=0.01, betas=(0.9, 0.95))"


def test_each_field_that_differs_is_named() -> None:
    assert AdamW().difference(AdamW()) is None
    assert AdamW(0.1, 0.2).difference(AdamW(0.3, 0.4)) == (
        "learning_rate is 0.3 and not 0.1\nweight_decay is 0.4 and not 0.2"
    )
    assert AdamW(0.1, 0.2).difference(AdamW(0.1, 0.4)) == "weight_decay is 0.4 and not 0.2"
    assert AdamW().difference(AdamW(betas=(0.9, 0.95))) == "betas is (0.9, 0.95) and not (0.9, 0.999)"
    difference = AdamW(0.1).difference(SGDW(0.1, 0.01, 0.9))
    assert difference is not None
    assert difference.splitlines() == [
        "the optimizer is SGDW and not AdamW",
        "there is no betas, here (0.9, 0.999)",
        "there is no epsilon, here 1e-08",
        "there is no amsgrad, here False",
        "there is no epsilon_mode, here 'torch'",
        "momentum is 0.9 and here there is none",
        "nesterov is False and here there is none",
        "momentum_mode is 'torch' and here there is none",
    ]
