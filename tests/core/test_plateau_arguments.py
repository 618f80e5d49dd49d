"""The arguments of the metric-driven multiplier: which are refused, and that a `Plateau` of them is a value."""

from __future__ import annotations

import json
import math
import pickle
import re
from typing import Any

import pytest

from samestep.core.callbacks import ReduceOnPlateau
from samestep.core.policies.plateau import Plateau

NAN = math.nan

# (arguments of ReduceOnPlateau, error, its beginning without the class name)
REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"monitor": ""}, ValueError, "found monitor=''; write the name of a metric, such as monitor='val_loss'."),
    ({"monitor": 3}, ValueError, "found monitor=3; write the name of a metric"),
    (
        {"hyperparameter": "momentum"},
        ValueError,
        "found hyperparameter='momentum'; write hyperparameter='learning_rate' or 'weight_decay': a momentum is ",
    ),
    ({"hyperparameter": "lr"}, ValueError, "found hyperparameter='lr'; write hyperparameter='learning_rate' or "),
    ({"hyperparameter": "weight_decay", "base": 0.1}, ValueError, "found base=0.1 for the weight_decay; leave base= o"),
    ({"base": 0}, ValueError, "found base=0; write the learning rate before any decay, greater than 0."),
    ({"base": "1"}, TypeError, "base: found '1' (str); expected a number."),
    (
        {"on_change": "new"},
        ValueError,
        "found on_change='new'; write on_change='raise', on_change='use_new' or on_change='use_saved'.",
    ),
    ({"mode": "auto"}, ValueError, "mode: found 'auto'; expected one of 'min', 'max'."),
    ({"threshold_mode": "relative"}, ValueError, "threshold_mode: found 'relative'; expected one of 'rel', 'abs'."),
    ({"factor": 1}, ValueError, "factor: found 1.0; expected a multiplier in [0, 1)."),
    ({"factor": -0.1}, ValueError, "factor: found -0.1; expected a multiplier in [0, 1)."),
    ({"factor": None}, TypeError, "factor: found None (NoneType); expected a number."),
    ({"patience": -1}, ValueError, "patience: found -1; expected a whole number of at least 0."),
    ({"patience": 1.0}, ValueError, "patience: found 1.0; expected a whole number of at least 0."),
    ({"cooldown": True}, ValueError, "cooldown: found True; expected a whole number of at least 0."),
    ({"start_epoch": "5"}, ValueError, "start_epoch: found '5'; expected a whole number of at least 0."),
    ({"threshold": -1}, ValueError, "threshold: found -1.0; expected a number of at least 0."),
    ({"threshold": 1}, ValueError, "threshold: found 1.0; expected a fraction below 1, as no score can improve "),
    ({"threshold": NAN}, ValueError, "threshold: found nan; expected a finite number."),
    ({"floor": -1e-9}, ValueError, "floor: found -1e-09; expected a number of at least 0."),
]
KERAS_REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"monitor": "val_accuracy"}, ValueError, "found mode='auto' for 'val_accuracy'; its name does not tell "),
    ({"monitor": None}, ValueError, "found monitor=None; write the name of a metric"),
    ({"mode": "up"}, ValueError, "mode: found 'up'; expected one of 'min', 'max'."),
    ({"patience": -1}, ValueError, "patience: found -1; expected a whole number of at least 0."),
    ({"cooldown": 0.5}, ValueError, "cooldown: found 0.5; expected a whole number of at least 0."),
    ({"min_delta": -1e-4}, ValueError, "min_delta: found -0.0001; expected a number of at least 0."),
    ({"min_lr": "0"}, TypeError, "min_lr: found '0' (str); expected a number."),
]


@pytest.mark.parametrize(
    ("make", "arguments", "error", "words"),
    [(ReduceOnPlateau, *row) for row in REFUSED]
    + [(ReduceOnPlateau.like_keras, *row) for row in KERAS_REFUSED]
    + [(ReduceOnPlateau.like_torch, {"min_lr": -1}, ValueError, "min_lr: found -1; expected a number of at lea")],
    ids=lambda case: repr(case) if isinstance(case, dict) else "",
)
def test_a_bad_argument_is_refused(make: Any, arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(f'ReduceOnPlateau: {words}')}"):
        make(**arguments)


def test_a_threshold_of_1_or_more_is_good_for_differences_and_for_rising_scores() -> None:
    assert Plateau(threshold=1, threshold_mode="abs", patience=0).reductions({0: 5, 1: 4, 2: 2}, 3) == 1
    assert Plateau(threshold=1, mode="max", patience=0).reductions({0: 2, 1: 4, 2: 5}, 3) == 1


PLATEAUS = [Plateau(), Plateau("max", 0, 0, 2, "abs", 3, 0.5, 4), Plateau(factor=0.3, floor=1e-5, threshold=0.0)]


@pytest.mark.parametrize("plateau", PLATEAUS, ids=repr)
def test_a_plateau_is_a_value(plateau: Plateau) -> None:
    for other in (
        Plateau.from_dict(json.loads(json.dumps(plateau.to_dict()))),
        pickle.loads(pickle.dumps(plateau)),
        eval(repr(plateau), {"Plateau": Plateau}),
    ):
        assert other == plateau
        assert hash(other) == hash(plateau)


BAD_DATA: list[Any] = [
    None,
    [],
    {},
    {**Plateau().to_dict(), "type": "StepDecay"},
    {**Plateau().to_dict(), "eps": 1e-8},
    *({**Plateau().to_dict(), name: bad} for name in Plateau().to_dict() for bad in (None, [], {}, "x", -1, NAN)),
]


def test_what_is_missing_has_its_default() -> None:
    assert Plateau.from_dict({"type": "Plateau"}) == Plateau()
    assert Plateau.from_dict({"type": "Plateau", "patience": 3}) == Plateau(patience=3)


@pytest.mark.parametrize("data", BAD_DATA, ids=str)
def test_data_that_no_plateau_wrote_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match=r"found .*; (expected|leave) .*\."):
        Plateau.from_dict(data)


def test_the_callback_prints_its_arguments() -> None:
    assert repr(ReduceOnPlateau.like_keras("loss", patience=3, base=0.5)) == (
        "ReduceOnPlateau(monitor='loss', hyperparameter='learning_rate', mode='min', factor=0.1, patience=2, "
        "threshold=0.0001, threshold_mode='abs', cooldown=0, floor=0.0, start_epoch=0, base=0.5, on_change='raise')"
    )
