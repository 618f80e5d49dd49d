"""Lists and dictionaries of any kind, as those of OmegaConf, which Hydra makes."""

from __future__ import annotations

from collections import UserDict, UserList
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf

from samestep import (
    AdamW,
    Constant,
    MultiStepDecay,
    NAdamW,
    ParameterRule,
    Recipe,
    Schedule,
    Spec,
    StepDecay,
    Table,
    Warmup,
    from_keras_adamw,
    sequence,
)
from samestep.core.callbacks import HyperparameterScheduler

RULE = ParameterRule(role="bias", weight_decay=0)
RECIPE = Recipe(AdamW(parameters=[RULE]), Warmup("1 epoch"))


def as_user_types(value: Any) -> Any:
    if isinstance(value, Mapping):
        return UserDict({key: as_user_types(each) for key, each in value.items()})
    return UserList(map(as_user_types, value)) if isinstance(value, (list, tuple)) else value


def as_omegaconf(value: Any) -> Any:
    return OmegaConf.create(value)


KINDS = [as_user_types, as_omegaconf]


@pytest.mark.parametrize("of", KINDS)
def test_numbers_durations_and_patterns_come_in_sequences_of_any_kind(of: Callable[[Any], Any]) -> None:
    assert isinstance(of([1]), Sequence)
    assert not isinstance(of([1]), (list, tuple))
    assert AdamW(betas=of([0.8, 0.99])) == AdamW(betas=(0.8, 0.99))
    assert NAdamW(betas=of([0.8, 0.99])) == NAdamW(betas=(0.8, 0.99))
    assert MultiStepDecay(0.1, at=of(["1 epoch", "75%"])) == MultiStepDecay(0.1, at=["1 epoch", "75%"])
    assert Table(of([1, 2]), "1 epoch") == Table([1, 2], "1 epoch")
    rule = ParameterRule(of(["bias", "norm"]), depth=of(["a/**", "b/**"]), learning_rate=0.5)
    assert rule == ParameterRule(["bias", "norm"], depth=["a/**", "b/**"], learning_rate=0.5)
    assert from_keras_adamw(weight_decays=of({"dense/kernel": [0.0, 0.1]}), total_iterations=9) == from_keras_adamw(
        weight_decays={"dense/kernel": (0.0, 0.1)}, total_iterations=9
    )


@pytest.mark.parametrize("of", KINDS)
def test_what_to_dict_wrote_comes_in_mappings_of_any_kind(of: Callable[[Any], Any]) -> None:
    recipe = Recipe(RECIPE.optimizer, sequence(Constant(0.1), ("1 epoch", MultiStepDecay(0.5, at=["2 epochs"]))))
    assert Recipe.from_dict(of(recipe.to_dict())) == recipe
    assert Schedule.from_dict(of(recipe.learning_rate.to_dict())) == recipe.learning_rate
    assert Spec.from_dict(of(RECIPE.optimizer.to_dict())) == RECIPE.optimizer  # type: ignore[union-attr]


def test_rules_pairs_and_recipes_come_in_containers_of_any_kind() -> None:
    assert AdamW(parameters=UserList([RULE])) == AdamW(parameters=[RULE])  # type: ignore[arg-type]
    assert sequence(Constant(), UserList(["1 epoch", Constant(0.5)])) == sequence(
        Constant(), ("1 epoch", Constant(0.5))
    )  # type: ignore[arg-type]
    assert sequence(Constant(), ["1 epoch", Constant(0.5)]) == sequence(Constant(), ("1 epoch", Constant(0.5)))  # type: ignore[arg-type]
    callback = HyperparameterScheduler(UserDict(a=RECIPE, b=RECIPE), updates_per_epoch=UserDict(a=3, b=4))
    assert dict(callback._policies).keys() == {"a", "b"}
    assert callback._updates == {"a": 3, "b": 4}


def target(name: str, *arguments: Any, **fields: Any) -> dict[str, Any]:
    return {"_target_": f"samestep.{name}", **({"_args_": list(arguments)} if arguments else {}), **fields}


STEPS = target("StepDecay", factor=0.5, every="1 epoch")
PLAIN = [
    (target("AdamW", betas=[0.8, 0.99]), AdamW(betas=(0.8, 0.99))),
    (target("MultiStepDecay", factor=0.1, at=["1 epoch", "75%"]), MultiStepDecay(0.1, at=["1 epoch", "75%"])),
    (
        target("Recipe", optimizer=target("AdamW", betas=[0.8, 0.99]), learning_rate=STEPS),
        Recipe(AdamW(betas=(0.8, 0.99)), StepDecay(0.5, "1 epoch")),
    ),
    (target("ParameterRule", role=["bias", "norm"], weight_decay=0), ParameterRule(["bias", "norm"], weight_decay=0)),
]
NESTED = [  # Hydra makes a DictConfig of a dataclass in a list, unless it is told to convert
    (target("AdamW", parameters=[target("ParameterRule", role="bias", weight_decay=0)]), AdamW(parameters=[RULE])),
    (
        target("sequence", target("Constant", value=0.1), ["5 epochs", STEPS]),
        sequence(Constant(0.1), ("5 epochs", StepDecay(0.5, "1 epoch"))),
    ),
    (
        target(
            "core.callbacks.HyperparameterScheduler",
            recipe={"generator": target("Recipe", learning_rate=STEPS), "critic": target("Recipe", weight_decay=STEPS)},
        ),
        HyperparameterScheduler(
            {
                "generator": Recipe(learning_rate=StepDecay(0.5, "1 epoch")),
                "critic": Recipe(weight_decay=StepDecay(0.5, "1 epoch")),
            }
        ),
    ),
]


@pytest.mark.parametrize("convert", ["none", "partial", "object", "all"])
@pytest.mark.parametrize(("config", "expected"), PLAIN, ids=lambda each: str(each)[:40])
def test_hydra_makes_it(config: dict[str, Any], expected: Any, convert: str) -> None:
    assert instantiate(OmegaConf.create(config), _convert_=convert) == expected


@pytest.mark.parametrize("convert", ["partial", "object", "all"])
@pytest.mark.parametrize(("config", "expected"), NESTED, ids=lambda each: str(each)[:40])
def test_hydra_makes_what_has_values_in_lists(config: dict[str, Any], expected: Any, convert: str) -> None:
    assert repr(instantiate(OmegaConf.create({**config, "_convert_": convert}))) == repr(expected)


def test_a_value_that_hydra_turned_into_a_dictionary_is_told_how_to_convert() -> None:
    config = OmegaConf.create(target("sequence", target("Constant", value=0.1), ["5 epochs", target("Constant")]))
    with pytest.raises(
        Exception,
        match=r"found \{'value': 0.1\} \(DictConfig\); expected a schedule, .* write Schedule.from_dict\(...\) .*",
    ):
        instantiate(config)
    assert issubclass(DictConfig, Mapping)
    assert issubclass(ListConfig, Sequence)
