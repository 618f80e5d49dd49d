"""What the mirrored callbacks share: their arguments, the messages, what stays of the names of version 0.1."""

from __future__ import annotations

import copy
import pickle
import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from samestep import AdamW, Clock, Constant, LinearDecay, Position, Recipe, StepDecay, Trace, epochs, updates
from samestep.core.callbacks import (
    EpochGatedDecay,
    HyperparameterScheduler,
    LearningRateScheduler,
    ReduceOnPlateau,
    TraceRecorder,
)
from samestep.core.callbacks.errors import other_driver_error, other_spec_error, second_driver_error
from samestep.core.callbacks.schedule_callback import ScheduleCallback
from samestep.core.checkpoints.resuming import driver_of, resumed

LINE = Recipe(AdamW(learning_rate=1.0), learning_rate=LinearDecay(over=epochs(2)))
STEPS = Recipe(learning_rate=StepDecay(0.5, every=epochs(1)))


def slower(epoch: int) -> float:
    return 0.75**epoch


CALLBACKS: list[ScheduleCallback] = [
    HyperparameterScheduler(LINE, verify=True),
    HyperparameterScheduler({"a": LINE, 1: STEPS}, updates_per_epoch={"a": 3}),
    EpochGatedDecay(0.5, start_epoch=2),
    LearningRateScheduler(slower, base=0.5),
    ReduceOnPlateau(patience=3),
]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: HyperparameterScheduler(Constant()), TypeError, r"found Constant\(\) \(Constant\); expected a Rec"),
        (lambda: HyperparameterScheduler({}), TypeError, r"found {} \(dict\); expected a Recipe, such as "),
        (
            lambda: HyperparameterScheduler({True: LINE}),
            TypeError,
            "found True: Recipe.*expected a Recipe keyed by the path",
        ),
        (lambda: HyperparameterScheduler(LINE, resolution="step"), ValueError, r"found resolution='step'; write "),
        (
            lambda: HyperparameterScheduler(LINE, on_change="new"),
            ValueError,
            r"found on_change='new'; write on_change=",
        ),
        (lambda: HyperparameterScheduler(LINE, verify=1), ValueError, r"found verify=1; write verify=True or verify=F"),
        (lambda: HyperparameterScheduler(LINE, updates_per_epoch=0), ValueError, r"^updates_per_epoch: found 0; exp"),
        (
            lambda: HyperparameterScheduler({"a": LINE}, updates_per_epoch={"b": 1}),
            ValueError,
            r"found updates_per_epoch for \['b'\]; use the keys of the recipes, \['a'\]",
        ),
    ],
)
def test_a_bad_argument_is_refused(make: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


def test_a_callback_shows_its_arguments_and_messages_name_it() -> None:
    gated = EpochGatedDecay(0.5, start_epoch=2)
    source = "EpochGatedDecay(factor=0.5, start_epoch=2, every_epochs=1, floor=0.0, base=None)"
    assert repr(gated) == source
    assert str(second_driver_error(source, source, "learning_rate")) == (
        f"found two callbacks that drive learning_rate: {source} and {source}; keep one of them, or multiply their "
        f"schedules in one recipe."
    )
    assert str(other_driver_error("EpochGatedDecay", "learning_rate", "a StepLR", "remove it")) == (
        "EpochGatedDecay: found a StepLR, which already drives learning_rate; remove it."
    )
    assert str(other_spec_error(gated._policies[None], "epsilon is 2 and not 1")).startswith(
        "EpochGatedDecay: found an optimizer that was not built from this recipe's spec: epsilon is 2 and not 1; build "
        "it with build_optimizer(recipe, model), or "
    )


def test_a_subclass_is_named_in_its_messages() -> None:
    class Mine(EpochGatedDecay):
        pass

    with pytest.raises(ValueError, match=r"^Mine: found start_epoch=-1; write"):
        Mine(0.5, start_epoch=-1)


@pytest.mark.parametrize("callback", CALLBACKS, ids=lambda callback: repr(callback)[:40])
def test_the_public_object_is_small(callback: ScheduleCallback) -> None:
    public = {name for name in dir(callback) if not name.startswith("_")}
    beyond = {"plateau", "scores", "observe", "like_torch", "like_keras", "monitor"}
    assert public - beyond <= {*callback._arguments}
    assert len(public) <= 8


@pytest.mark.parametrize("callback", CALLBACKS, ids=lambda callback: repr(callback)[:40])
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_callback_can_be_copied_and_pickled(callback: ScheduleCallback, copied: Callable[[Any], Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = copied(callback)
    assert type(again) is type(callback)
    assert repr(again) == repr(callback)
    assert list(again._policies) == list(callback._policies)
    for key, policy in callback._policies.items():
        assert again._policies[key].settings() == policy.settings()


# Attribute of the callback of version 0.1, and what the policy has under its present name.
FORMER = [
    (HyperparameterScheduler(LINE), "driven", ("learning_rate", "weight_decay", "momentum")),
    (HyperparameterScheduler(LINE), "spec", LINE.optimizer),
    (ReduceOnPlateau(), "memory", []),
    (EpochGatedDecay(0.5, start_epoch=1), "own_bases", [0.5]),
    (EpochGatedDecay(0.5, start_epoch=1), "recipe", Recipe(learning_rate=StepDecay(0.5, "1 epoch", "1 epoch"))),
]


@pytest.mark.parametrize(("callback", "name", "expected"), FORMER, ids=[each[1] for each in FORMER])
def test_an_attribute_of_version_0_1_answers_with_a_warning(
    callback: ScheduleCallback, name: str, expected: object
) -> None:
    words = f"^{type(callback).__name__}.{name} is deprecated and will be removed in samestep 0"
    with pytest.warns(FutureWarning, match=words) as warned:
        found = getattr(callback, name)
    assert warned[0].filename == __file__
    arguments = {"own_bases": [[0.5]]}.get(name, [])
    assert (found(*arguments) if callable(found) else found) == expected


@pytest.mark.parametrize("callback", CALLBACKS, ids=lambda callback: repr(callback)[:40])
@pytest.mark.parametrize("name", ["learning_rate", "on_fit_start", "_checked_base", "_never", "__len__", "__wrapped__"])
def test_an_attribute_that_there_never_was_is_an_attribute_error(callback: ScheduleCallback, name: str) -> None:
    words = re.escape(f"{type(callback).__name__!r} object has no attribute {name!r}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AttributeError, match=f"^{words}$"):
            getattr(callback, name)


class Fussy(HyperparameterScheduler):
    """A subclass whose constructor makes its own recipe, and may be called once."""

    made = 0

    def __init__(self, factor: float) -> None:
        type(self).made += 1
        assert type(self).made == 1, "called again"
        super().__init__(Recipe(learning_rate=StepDecay(factor, "1 epoch")), on_change="use_saved")


class Patient(ReduceOnPlateau):
    def __init__(self, patience: int = 3) -> None:
        super().__init__("loss", patience=patience, on_change="use_saved")


class Both(HyperparameterScheduler):
    def __init__(self) -> None:
        super().__init__({"generator": LINE, "discriminator": STEPS})


def test_saved_settings_are_read_without_a_second_callback() -> None:
    callback, clock = Fussy(0.5), Clock(4, 3)
    policy = callback._policies[None]
    saved = driver_of(HyperparameterScheduler(STEPS)._policies[None], clock)
    assert saved.kind == "recipe", "a checkpoint does not name the class of the callback"
    assert resumed(policy, saved, clock, Position(1), "raise").policy is policy
    tenth = driver_of(HyperparameterScheduler(Recipe(learning_rate=StepDecay(0.1, "1 epoch")))._policies[None], clock)
    found = resumed(policy, tenth, clock, Position(1), "use_saved").policy
    assert type(found) is type(policy)
    assert found.settings() == tenth.settings
    assert Fussy.made == 1


def test_the_scores_of_a_subclass_are_read_without_a_second_callback() -> None:
    before = ReduceOnPlateau("loss", patience=0, factor=0.5)
    for epoch in range(3):
        before.observe(epoch, 1.0)
    reduce = Patient()
    reduce._begin_scores(3, driver_of(before._policies[None], Clock(4, 5)), Clock(4, 5), anew=True)
    assert reduce.scores == {0: 1.0, 1: 1.0, 2: 1.0}
    assert (reduce.plateau.patience, reduce.plateau.reductions(reduce.scores, 3)) == (0, 2)
    reduce._begin_scores(0, None, Clock(4, 5), anew=True)
    assert reduce.scores == {}
    assert reduce.plateau.patience == 3, "a run of its own has its own arguments again"


def test_a_subclass_may_pass_a_mapping() -> None:
    assert list(Both()._policies) == ["generator", "discriminator"]


def test_each_recorder_has_its_own_trace() -> None:
    one, two = TraceRecorder(), TraceRecorder()
    one.trace.record(Position(0), {"learning_rate": 1.0})
    assert two.trace == Trace()


@pytest.mark.parametrize(
    ("every", "recorded"),
    [
        ("1 update", {(epoch, update) for epoch in range(5) for update in range(4)}),
        (updates(3), {(epoch, update) for epoch in range(5) for update in (0, 3)}),
        ("100 updates", {(epoch, 0) for epoch in range(5)}),
        ("1 epoch", {(epoch, 0) for epoch in range(5)}),
        (epochs(2), {(0, 0), (2, 0), (4, 0)}),
    ],
)
def test_the_position_alone_decides_what_a_recorder_records(every: str, recorded: set[tuple[int, int]]) -> None:
    recorder = TraceRecorder(every=every)
    positions = {(epoch, update) for epoch in range(5) for update in range(4)}
    assert {position for position in positions if recorder._interval.includes(*position)} == recorded


@pytest.mark.parametrize(
    "every", ["0 updates", "0.5 epochs", "10%", "1 epoch + 1 update", "2.5 updates", "2 epochs - 1 update"]
)
def test_what_is_no_whole_number_of_updates_or_epochs_is_no_interval(every: str) -> None:
    with pytest.raises(ValueError, match=r"^TraceRecorder: found every='.+'; write a whole number of updates or of ep"):
        TraceRecorder(every=every)


def test_a_bare_number_is_no_interval() -> None:
    with pytest.raises(TypeError, match=r"^TraceRecorder: every: found the bare number 100; expected a duration"):
        TraceRecorder(every=100)  # type: ignore[arg-type]


def test_the_trace_of_several_optimizers_is_asked_for_by_name() -> None:
    recorder = TraceRecorder()
    recorder.traces = {"a": Trace(), "b": Trace()}
    with pytest.raises(ValueError, match=r"found the traces of 2 optimizers; write one of traces\['a'\], traces\['b'"):
        _ = recorder.trace
