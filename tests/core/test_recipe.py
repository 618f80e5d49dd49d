"""A recipe is a value; what is read back from a dictionary is checked as strictly as what is written by hand."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest

from samestep import (
    AdamW,
    Constant,
    CosineDecay,
    EpochFunction,
    Recipe,
    Schedule,
    StepDecay,
    epochs,
    percent,
    sequence,
    updates,
)

RECIPE = Recipe(
    AdamW(learning_rate=0.1, weight_decay=0.05),
    learning_rate=StepDecay(0.1, every=epochs(5)).after(epochs("1.5")) * 0.5,
    weight_decay=sequence(Constant(0.5), (updates(3), CosineDecay(over=percent(100), end=0.1))),
)
DATA = {
    "version": 1,
    "optimizer": {
        "type": "AdamW",
        "learning_rate": 0.1,
        "weight_decay": 0.05,
        "weight_decay_basis": "learning_rate",
        "l1_ratio": 0.0,
        "parameters": [],
        "global_clipnorm": None,
        "clipnorm": None,
        "clipvalue": None,
        "maximize": False,
        "betas": [0.9, 0.999],
        "epsilon": 1e-08,
        "amsgrad": False,
        "epsilon_mode": "torch",
    },
    "learning_rate": {
        "type": "Product",
        "left": {
            "type": "After",
            "schedule": {"type": "StepDecay", "factor": 0.1, "every": "5 epochs", "first": None},
            "begin": "1.5 epochs",
        },
        "right": {"type": "Constant", "value": 0.5},
    },
    "weight_decay": {
        "type": "Sequence",
        "first": {"type": "Constant", "value": 0.5},
        "rest": [
            [
                "3 updates",
                {"type": "CosineDecay", "over": "100%", "inclusive": False, "end": 0.1, "start": 1.0, "k_decay": 1.0},
            ]
        ],
    },
    "momentum": {"type": "Constant", "value": 1.0},
}


def halved(epoch: int) -> float:
    return 0.5


def with_learning_rate(schedule: Any) -> dict[str, Any]:
    return {**DATA, "learning_rate": schedule}


def with_optimizer(**changes: Any) -> dict[str, Any]:
    return {**DATA, "optimizer": {**DATA["optimizer"], **changes}}  # type: ignore[dict-item]


def step_decay(**changes: Any) -> dict[str, Any]:
    return with_learning_rate({"type": "StepDecay", "factor": 0.1, "every": "5 epochs", "first": None, **changes})


def test_a_recipe_is_written_as_plain_data() -> None:
    assert RECIPE.to_dict() == DATA
    assert json.loads(json.dumps(RECIPE.to_dict(), allow_nan=False)) == DATA


def test_a_recipe_without_a_spec_is_written_with_none() -> None:
    recipe = Recipe(learning_rate=Constant(0.5))
    assert recipe.to_dict()["optimizer"] is None
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_what_was_written_is_read_back_equal() -> None:
    for again in (Recipe.from_dict(DATA), pickle.loads(pickle.dumps(RECIPE))):
        assert again == RECIPE
        assert hash(again) == hash(RECIPE)
        assert repr(again) == repr(RECIPE)


# (what is read, the essential words of the message)
REFUSED: list[tuple[Any, str]] = [
    ({**DATA, "version": 2}, r"^Recipe: found version 2; this samestep reads version 1\."),
    ({**DATA, "version": "1"}, r"^Recipe: found version '1'; this samestep reads version 1\."),
    ({**DATA, "version": None}, r"^Recipe: found version None"),
    ({}, r"^Recipe: found neither an optimizer nor a schedule, which drives nothing"),
    (None, r"^Recipe: found None; expected a dictionary"),
    ([], r"^Recipe: found \[\]; expected a dictionary"),
    ("recipe", r"^Recipe: found 'recipe'; expected a dictionary"),
    ({**DATA, "momentum": None}, r"^found None; expected a dictionary with a 'type'"),
    (
        {**DATA, "epsilon": None},
        r"^Recipe: found epsilon=None; set it in the optimizer's spec, as in AdamW\(epsilon=...\)\.$",
    ),
    (
        {**DATA, "weigth_decay": None},
        r"^Recipe: found weigth_decay=None; leave weigth_decay= out beside weight_decay=\.$",
    ),
    ({"optmizer": 1}, r"^Recipe: found optmizer=1; write optimizer=1\.$"),
    (
        {**DATA, 7: None},
        r"^Recipe: found '7'=None; expected some of optimizer, learning_rate, weight_decay, momentum\.$",
    ),
    (with_learning_rate(None), r"^found None; expected a dictionary with a 'type'"),
    (with_learning_rate({}), r"^found {}; expected a dictionary with a 'type'"),
    (with_learning_rate({"type": 5}), r"^found {'type': 5}; expected a dictionary with a 'type'"),
    (with_learning_rate("Constant()"), r"^found 'Constant\(\)'; expected a dictionary with a 'type'"),
    (with_learning_rate({"type": "Nothing"}), r"^found the schedule type 'Nothing'; expected one of After, AtLeast, "),
    (with_learning_rate({"type": "Schedule"}), r"^found the schedule type 'Schedule'; expected one of"),
    (with_learning_rate({"type": "Ramp", "over": "1 epoch"}), r"^found the schedule type 'Ramp'; expected one of"),
    (with_learning_rate({"type": "os.system"}), r"^found the schedule type 'os.system'; expected one of"),
    (with_learning_rate(DATA["optimizer"]), r"^found the schedule type 'AdamW'; expected one of"),
    ({**DATA, "optimizer": DATA["learning_rate"]}, r"^found the spec type 'Product'; expected one of AdamW"),
    ({**DATA, "optimizer": "AdamW"}, r"^found 'AdamW'; expected a dictionary with a 'type'"),
    (step_decay(gamma=1), r"^StepDecay: found gamma=1; leave gamma= out beside factor=\.$"),
    (
        with_learning_rate({"type": "StepDecay", "factor": 1, "evry": 2}),
        r"^StepDecay: found evry=2; write every='2 epo",
    ),
    (with_learning_rate({"type": "StepDcay"}), r"^found the schedule type 'StepDcay'; write 'StepDecay'\.$"),
    (
        with_learning_rate({"type": "StepDecay", "factor": 1}),
        r"^StepDecay: found no every; give every=\.$",
    ),
    (step_decay(factor="0.1"), r"^StepDecay.factor: found '0.1' \(str\); expected a number"),
    (step_decay(factor=None), r"^StepDecay.factor: found None \(NoneType\); expected a number"),
    (step_decay(factor=True), r"^StepDecay.factor: found True \(bool\); expected a number"),
    (step_decay(factor=[0.1]), r"^StepDecay.factor: found \(0.1,\) \(tuple\); expected a number"),
    (step_decay(factor=-1), r"^StepDecay.factor: found -1.0; expected a multiplier of at least 0"),
    (step_decay(factor=float("nan")), r"^StepDecay.factor: found nan; expected a finite number"),
    (step_decay(every=5), r"^StepDecay.every: found the bare number 5; expected a duration: write epochs\(5\)"),
    (step_decay(every="5"), r"^StepDecay.every: found '5', which has no known unit"),
    (step_decay(every="0 epochs"), r"^StepDecay.every: found epochs\(0\); expected a duration longer than zero"),
    (step_decay(every=["5 epochs"]), r"^StepDecay.every: found \('5 epochs',\) \(tuple\); expected a duration"),
    (
        step_decay(first={"type": "Constant", "value": 1}),
        r"^StepDecay.first: found Constant\(\) \(Constant\); expected",
    ),
    (
        with_learning_rate({"type": "After", "schedule": 1, "begin": "1%"}),
        r"^After.schedule: found 1 \(int\); expected a",
    ),
    (with_learning_rate({"type": "Product", "left": None, "right": None}), r"^Product.left: found None \(NoneType\)"),
    (
        with_learning_rate({"type": "Sequence", "first": {"type": "Constant", "value": 1}, "rest": ["1 epoch"]}),
        r"^sequence: found '1 epoch'; expected pairs of a duration and a schedule",
    ),
    (
        with_learning_rate({"type": "Sequence", "first": {"type": "Constant", "value": 1}, "rest": None}),
        r"^Sequence.rest: found None \(NoneType\); expected a list",
    ),
    (with_optimizer(learning_rate=-1), r"^AdamW.learning_rate: found -1.0; expected a number of at least 0"),
    (with_optimizer(betas=0.9), r"^AdamW.betas: found 0.9; expected two numbers"),
    (with_optimizer(betas=[0.9]), r"^AdamW.betas: found \(0.9,\); expected two numbers"),
    (with_optimizer(betas=[0.9, None]), r"^AdamW.betas: found None \(NoneType\); expected a number"),
    (with_optimizer(centered=True), r"^AdamW: found centered=True; expected some of learning_rate, weight_decay, "),
    (
        {
            "version": 1,
            "optimizer": None,
            "learning_rate": {"type": "Constant", "value": 1},
            "weight_decay": {"type": "Constant", "value": 1},
            "momentum": {"type": "Constant", "value": 1},
        },
        r"^Recipe: found neither an optimizer nor a schedule, which drives nothing",
    ),
]


@pytest.mark.parametrize(("data", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_cannot_be_read_is_a_value_error_and_nothing_else(data: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Recipe.from_dict(data)


def test_what_is_missing_has_its_default() -> None:
    assert Recipe.from_dict({"optimizer": {"type": "AdamW"}}) == Recipe(AdamW())
    assert Recipe.from_dict({"learning_rate": {"type": "StepDecay", "factor": 0.5, "every": "1 epoch"}}) == Recipe(
        learning_rate=StepDecay(0.5, "1 epoch")
    )


def test_reading_a_dictionary_does_not_change_it() -> None:
    before = json.dumps(DATA)
    Recipe.from_dict(DATA)
    assert json.dumps(DATA) == before


def test_a_users_function_is_found_by_the_name_that_was_written_and_never_imported() -> None:
    recipe = Recipe(learning_rate=EpochFunction(halved).after(epochs(1)))
    data = json.loads(json.dumps(recipe.to_dict()))
    name = f"{__name__}:halved"
    assert data["learning_rate"]["schedule"] == {"type": "EpochFunction", "function": name}
    assert Recipe.from_dict(data, functions={name: halved}) == recipe
    for functions in (None, {}, {"halved": halved}):
        words = rf"found the name '{re.escape(name)}', and functions are not imported by name; give from_dict\("
        with pytest.raises(ValueError, match=words):
            Recipe.from_dict(data, functions)
    with pytest.raises(ValueError, match=r"^found 0.5 \(float\); expected a function f\(epoch\)"):
        Recipe.from_dict(data, functions={name: 0.5})  # type: ignore[dict-item]


def test_a_class_reads_its_own_kind_only() -> None:
    data = StepDecay(0.1, every=epochs(5)).to_dict()
    assert Schedule.from_dict(data) == StepDecay.from_dict(data) == StepDecay(0.1, every=epochs(5))
    with pytest.raises(ValueError, match=r"^found the constant type 'StepDecay'; expected one of Constant; import"):
        Constant.from_dict(data)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Recipe(), ValueError, "Recipe: found neither an optimizer nor a schedule, which drives nothing; give"),
        (lambda: Recipe("AdamW"), TypeError, "Recipe.optimizer: found 'AdamW' (str); expected a spec, such as AdamW("),
        (lambda: Recipe(AdamW), TypeError, "Recipe.optimizer: found the class AdamW; expected a spec, such as AdamW"),
        (
            lambda: Recipe(Constant(2)),
            TypeError,
            "Recipe.optimizer: found Constant(value=2.0) (Constant); expected a s",
        ),
        (
            lambda: Recipe(learning_rate=0.1),
            TypeError,
            "Recipe.learning_rate: found 0.1 (float); expected a schedule, ",
        ),
        (lambda: Recipe(momentum=0.9), TypeError, "Recipe.momentum: found 0.9 (float); expected a schedule, such as"),
        (
            lambda: Recipe(weight_decay=None),
            TypeError,
            "Recipe.weight_decay: found None (NoneType); expected a schedule",
        ),
    ],
)
def test_what_is_not_a_spec_or_a_schedule_is_refused(
    make: Callable[[], object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=f"^{re.escape(words)}"):
        make()


def test_a_spec_drives_everything_and_schedules_alone_drive_what_they_schedule() -> None:
    assert Recipe(AdamW()).driven == ("learning_rate", "weight_decay", "momentum")
    assert Recipe(learning_rate=Constant(0.5)).driven == ("learning_rate",)
    assert Recipe(weight_decay=Constant(0.5)).driven == ("weight_decay",)
    assert Recipe(momentum=Constant(0.5)).driven == ("momentum",)
    assert Recipe(weight_decay=Constant(0.5), learning_rate=Constant(2)).driven == ("learning_rate", "weight_decay")


def test_base_values_are_those_of_the_spec() -> None:
    assert [RECIPE.base(name) for name in RECIPE.driven] == [0.1, 0.05, 0.9]
    assert Recipe(AdamW(betas=(0.5, 0.75))).base("momentum") == 0.5
    assert Recipe(learning_rate=Constant(0.5)).base("learning_rate") is None


def test_an_unknown_hyperparameter_has_no_schedule() -> None:
    with pytest.raises(
        ValueError, match=r"^found the hyperparameter 'lr'; expected one of learning_rate, weight_decay"
    ):
        RECIPE.schedule("lr")
