"""What the callbacks share: how a recipe is followed, what is refused, and the messages."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from samestep import (
    AdamW,
    Clock,
    Constant,
    CosineDecay,
    InverseTimeDecay,
    LinearDecay,
    Position,
    Recipe,
    StepDecay,
    Trace,
    epochs,
    percent,
    updates,
)
from samestep.core.callbacks.epoch_callbacks import EpochGatedDecayMixin
from samestep.core.callbacks.hyperparameter_scheduler import HyperparameterSchedulerMixin
from samestep.core.callbacks.refusals import refuse_other_driver, refuse_other_spec, refuse_second_driver
from samestep.core.callbacks.trace_recorder import TraceRecorderMixin


def test_legacy_keras_decay_is_inverse_time_decay_per_update() -> None:
    recipe = Recipe(AdamW(learning_rate=0.1), learning_rate=InverseTimeDecay(0.01, every=updates(1)))
    scheduler = HyperparameterSchedulerMixin(recipe)
    scheduler.prepare(Clock(5, 3))
    used = [scheduler.value("learning_rate", 0.1, Position(epoch, update)) for epoch in range(3) for update in range(5)]
    # One rounding more than the closed form, of 1 / (1 + 0.01 * k): at most one unit in the last place.
    assert used == pytest.approx([0.1 / (1 + 0.01 * k) for k in range(15)], rel=1e-15, abs=0)


LINE = Recipe(AdamW(learning_rate=1.0), learning_rate=LinearDecay(over=epochs(2)))
STEPS = Recipe(learning_rate=StepDecay(0.5, every=epochs(1)))


@pytest.mark.parametrize(
    ("resolution", "expected"),
    [("update", [1.0, 0.875, 0.75, 0.625, 0.5, 0.375]), ("epoch", [1.0, 1.0, 1.0, 1.0, 0.5, 0.5])],
)
def test_resolution_epoch_holds_the_first_updates_value(resolution: str, expected: list[float]) -> None:
    scheduler = HyperparameterSchedulerMixin(LINE, resolution=resolution)  # type: ignore[arg-type]
    scheduler.prepare(Clock(4, 2))
    assert [scheduler.value("learning_rate", 1.0, Position(*divmod(i, 4))) for i in range(6)] == expected
    assert scheduler.varies_within_epochs() is (resolution == "update")


def test_epochs_of_unknown_length_are_refused_only_where_it_matters() -> None:
    words = (
        r"^HyperparameterSchedulerMixin: found a learning_rate schedule that changes within an epoch, and training data"
    )
    with pytest.raises(ValueError, match=words + ".*give updates_per_epoch=, or resolution='epoch'"):
        HyperparameterSchedulerMixin(LINE).prepare(Clock(None, 2))
    held = HyperparameterSchedulerMixin(LINE, resolution="epoch")
    held.prepare(Clock(None, 2))
    assert [held.value("learning_rate", 1.0, Position(epoch, 3)) for epoch in range(3)] == [1.0, 0.5, 0.0]
    steps = HyperparameterSchedulerMixin(STEPS)
    steps.prepare(Clock())
    assert [steps.value("learning_rate", 1.0, Position(1, update)) for update in (0, 7, 10**6)] == [0.5, 0.5, 0.5]


def test_a_run_of_unknown_length_is_refused_by_the_callback_for_a_percentage() -> None:
    scheduler = HyperparameterSchedulerMixin(Recipe(learning_rate=CosineDecay(over=percent(100))))
    with pytest.raises(
        ValueError, match=r"^HyperparameterSchedulerMixin: the learning_rate schedule: '100%' needs the l"
    ):
        scheduler.prepare(Clock(5))


def test_what_the_trainer_knows_and_what_the_user_says_are_joined() -> None:
    said = HyperparameterSchedulerMixin(LINE, updates_per_epoch=4)
    assert said.clock(None, 3) == said.clock(4, 3) == Clock(4, 3)
    assert HyperparameterSchedulerMixin(LINE).clock(5, None, 9) == Clock(5, None, 9)
    words = (
        r"^HyperparameterSchedulerMixin: found updates_per_epoch=4, but the trainer makes 5 updates in an epoch; leave"
    )
    with pytest.raises(ValueError, match=words):
        said.clock(5, 3)


def test_a_scheduler_drives_what_its_recipe_drives() -> None:
    with_spec, without = HyperparameterSchedulerMixin(LINE), HyperparameterSchedulerMixin(STEPS)
    assert (with_spec.driven, with_spec.spec) == (("learning_rate", "weight_decay", "momentum"), LINE.optimizer)
    assert (without.driven, without.spec) == (("learning_rate",), None)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: HyperparameterSchedulerMixin(Constant()),
            TypeError,
            r"found Constant\(\) \(Constant\); expected a Rec",
        ),
        (lambda: HyperparameterSchedulerMixin(LINE, resolution="step"), ValueError, r"found resolution='step'; write "),
        (
            lambda: HyperparameterSchedulerMixin(LINE, updates_per_epoch=0),
            ValueError,
            r"^updates_per_epoch: found 0; exp",
        ),
    ],
)
def test_a_bad_argument_is_refused(make: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


def test_a_callback_shows_its_arguments_and_messages_name_it() -> None:
    gated = EpochGatedDecayMixin(0.5, start_epoch=2)
    source = "EpochGatedDecayMixin(factor=0.5, start_epoch=2, every_epochs=1, floor=0.0, base=None)"
    assert repr(gated) == source
    assert str(refuse_second_driver(gated, gated, "learning_rate")) == (
        f"found two callbacks that drive learning_rate: {source} and {source}; keep one of them, or multiply their "
        f"schedules in one recipe."
    )
    assert str(refuse_other_driver(gated, "learning_rate", "a StepLR", "remove it")) == (
        "EpochGatedDecayMixin: found a StepLR, which drives learning_rate already; remove it."
    )
    assert str(refuse_other_spec(gated, "epsilon is 2 and not 1")).startswith(
        "EpochGatedDecayMixin: found an optimizer that is not the recipe's: epsilon is 2 and not 1; build it with "
    )


def test_each_recorder_has_its_own_trace() -> None:
    one, two = TraceRecorderMixin(), TraceRecorderMixin()
    one.trace.record(Position(0), {"learning_rate": 1.0})
    assert two.trace == Trace()
