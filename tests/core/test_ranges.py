"""Where a range of numbers ends, whether its end belongs to it, and what the kinds of optimizers keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from samestep import (
    SGDW,
    AdamW,
    Clock,
    Constant,
    CosineDecay,
    LinearDecay,
    NAdamW,
    ParameterRule,
    Position,
    Recipe,
    Spec,
    StepDecay,
    Triangular,
    epochs,
    from_keras_adamw,
    percent,
    updates,
)
from samestep.core.callbacks import EpochGatedDecay, ReduceOnPlateau
from samestep.core.policies.function_policy import FunctionPolicy
from samestep.core.policies.recipe_policy import RecipePolicy
from samestep.core.policies.streams import streamed_names


@pytest.mark.parametrize(
    "make",
    [
        lambda: NAdamW(momentum_decay=0),
        lambda: SGDW(momentum=0.5, nesterov=True),
        lambda: ParameterRule(path="a", weight_decay=0),
        lambda: AdamW(betas=(0, 0)),
        lambda: Triangular(up=updates(1), mode="exp_range", gamma=1),
    ],
)
def test_an_end_that_belongs_to_its_range_is_taken(make: Callable[[], object]) -> None:
    assert make() == make()


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: NAdamW(momentum_decay=-1e-9), "momentum_decay"),
        (lambda: AdamW(epsilon=0), "epsilon"),
        (lambda: ParameterRule(path="a", learning_rate=0), "learning_rate"),
        (lambda: SGDW(nesterov=True), "nesterov"),
        (lambda: SGDW(momentum=1), "momentum"),
        (lambda: SGDW(learning_rate=0, weight_decay_basis="schedule"), "learning_rate"),
        (lambda: StepDecay(-1, every="1 epoch"), "factor"),
        (lambda: Triangular(up=updates(1), mode="exp_range", gamma=0), "gamma"),
        (lambda: CosineDecay("1 epoch").repeat("1 epoch", growth=1.001), "growth"),
    ],
)
def test_an_end_that_does_not_is_refused_by_the_name_of_the_argument(make: Callable[[], object], name: str) -> None:
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        make()


@pytest.mark.parametrize(
    ("spec", "moments"),
    [
        (AdamW(), ("momentum", "velocity")),
        (AdamW(amsgrad=True), ("momentum", "velocity", "largest_velocity")),
        (NAdamW(), ("momentum", "velocity")),
        (SGDW(), ()),
        (SGDW(momentum=0.9), ("momentum_buffer",)),
    ],
)
def test_the_moments_that_a_spec_keeps(spec: Spec, moments: tuple[str, ...]) -> None:
    """Their names stand in files that hand a run over."""
    assert spec.moments == moments


def test_a_triangle_shrinks_per_update_however_finely_time_is_divided() -> None:
    schedule = Triangular(up=epochs(0.25), mode="exp_range", gamma=0.5)  # 3 updates have 2 ticks each
    values = Recipe(SGDW(1.0), learning_rate=schedule).plan(6, 1).values("learning_rate")
    heights = [0, 2 / 3, 2 / 3, 0, 2 / 3, 2 / 3]
    assert values == pytest.approx([0.5**k * height for k, height in enumerate(heights)], abs=1e-15)


def test_the_rules_of_keras_adamw_are_shares_of_the_largest_decay_and_nothing_else_decays() -> None:
    recipe = from_keras_adamw(total_iterations=4, weight_decays={"a:0": (0.1, 0.3), "b": (0, 0.1)})
    assert recipe.optimizer is not None
    assert recipe.optimizer.weight_decay == 0.4
    assert recipe.optimizer.parameters == (
        ParameterRule(path="a", weight_decay=1, l1_ratio=0.1 / 0.4),
        ParameterRule(path="b", weight_decay=0.1 / 0.4, l1_ratio=0),
        ParameterRule(weight_decay=0),
    )


def test_a_column_has_a_value_for_each_base_at_each_update() -> None:
    policy = FunctionPolicy(lambda epoch, rate: rate / (1 + epoch), who="LearningRateScheduler")
    policy.prepare(Clock(3, 4))
    columns = policy.reduced_columns("learning_rate", [1.0, 3.0], Position(1, 1), 2)
    assert columns == [[1 / 2] * 2, [3 / 2] * 2]


class Counting(FunctionPolicy):
    """A policy of one's own, whose values tell what was asked for."""

    def value(self, hyperparameter: str, base: float, position: Position) -> float:
        return base * (10 * position.epoch + position.update + len(hyperparameter) / 100)


def test_a_column_asks_for_each_update_by_its_position_and_name() -> None:
    policy = Counting(lambda epoch: 1.0, who="LearningRateScheduler")
    assert policy.reduced_columns("momentum", [1.0, 2.0], Position(1, 1), 2) == [[11.08, 12.08], [22.16, 24.16]]


def test_a_function_is_called_for_epochs_to_come_and_not_for_those_before() -> None:
    policy = FunctionPolicy(lambda epoch: [1.0, -1.0, 1.0, 1.0, -1.0][epoch], who="LearningRateScheduler")
    policy.prepare(Clock(1, 4))
    policy.first_epoch = 2
    policy.check_bases({"learning_rate": [1.0]})
    policy.prepare(Clock(1, 5))
    with pytest.raises(ValueError, match="epoch 4"):
        policy.check_bases({"learning_rate": [1.0]})


@pytest.mark.parametrize(
    ("recipe", "clock", "names"),
    [
        (Recipe(learning_rate=LinearDecay(percent(100))), Clock(None, 3, 10), set()),
        (Recipe(learning_rate=LinearDecay(percent(100))), Clock(None, None, 10), {"learning_rate"}),
        (Recipe(AdamW(), learning_rate=LinearDecay(updates(4))), Clock(3, 3), set()),
        (Recipe(AdamW(), learning_rate=LinearDecay(epochs(2)), weight_decay=Constant()), Clock(None, 3), set()),
        (
            Recipe(AdamW(), learning_rate=LinearDecay(updates(2)), weight_decay=Constant()),
            Clock(None, 3),
            {"learning_rate", "weight_decay"},
        ),
    ],
)
def test_which_schedules_need_the_number_of_updates_alone(recipe: Recipe, clock: Clock, names: set[str]) -> None:
    assert streamed_names(recipe, clock) >= names
    assert names or not streamed_names(recipe, clock)


def test_a_policy_of_a_recipe_saves_it_by_name() -> None:
    recipe = Recipe(AdamW(), learning_rate=LinearDecay(epochs(2)))
    assert RecipePolicy(recipe, who="").settings() == {"recipe": recipe.to_dict(), "resolution": "update"}


@pytest.mark.parametrize(
    ("recipe", "clock", "expected"),
    [
        # In updates, without a length: the stream is one epoch.
        (Recipe(learning_rate=LinearDecay(updates(4))), Clock(None, None), [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]),
        # In percent, of a run whose updates are limited.
        (Recipe(learning_rate=LinearDecay(percent(100))), Clock(None, None, 4), [1.0, 0.75, 0.5, 0.25]),
    ],
)
def test_a_stream_follows_its_updates(recipe: Recipe, clock: Clock, expected: list[float]) -> None:
    policy = RecipePolicy(recipe, who="HyperparameterScheduler")
    policy.prepare(clock)
    assert policy.streams is True
    assert policy.state() == [0]
    for made, value in enumerate(expected):
        policy.load_state([made])
        assert policy.value("learning_rate", 1.0, Position(0, 0)) == value
    policy.load_state([])
    assert policy.state() == [0]


def test_a_gated_decay_passes_its_arguments_on() -> None:
    policy = EpochGatedDecay(0.5, start_epoch=1, every_epochs=2, floor=0.3, base=1.0)._policies[None]
    policy.prepare(Clock(1, 6))
    bases = policy.resolve_bases([7.0])
    assert [policy.value("learning_rate", bases[0], Position(epoch, 0)) for epoch in range(6)] == [
        1,
        0.5,
        0.5,
        0.3,
        0.3,
        0.3,
    ]


def test_a_plateau_in_the_words_of_another_library_is_the_plateau() -> None:
    shared: dict[str, Any] = {"hyperparameter": "weight_decay", "start_epoch": 3, "on_change": "use_new"}
    torch = ReduceOnPlateau.like_torch(
        "m", mode="max", threshold=0.2, threshold_mode="abs", cooldown=2, min_lr=0, **shared
    )
    expected = ReduceOnPlateau("m", mode="max", threshold=0.2, threshold_mode="abs", cooldown=2, **shared)
    assert repr(torch) == repr(expected)
    keras = ReduceOnPlateau.like_keras("m", mode="max", factor=0.5, patience=4, verbose=1, cooldown=2, **shared)
    expected = ReduceOnPlateau(
        "m", mode="max", factor=0.5, patience=3, threshold=1e-4, threshold_mode="abs", cooldown=1, verbose=1, **shared
    )
    assert repr(keras) == repr(expected)
