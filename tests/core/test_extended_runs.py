"""With which length a run continues that has another one, or other batches, than it began with."""

from __future__ import annotations

import pytest

from samestep import Clock, CosineDecay, LinearDecay, Recipe, Schedule, StepDecay, epochs, percent, updates
from samestep.core.checkpoints.resuming import driver_of, resumed

from .resuming_helpers import CLOCK, HALVED, WHERE, continues, follow, refused, saved

HALF_OF_IT = CosineDecay(over=percent(100))


@pytest.mark.parametrize(("length", "text"), [(6, "6 epochs"), (2, "2 epochs"), (None, "unknown length")])
def test_a_run_of_another_length_keeps_the_percentages_of_the_one_it_was(length: int | None, text: str) -> None:
    recipe = Recipe(learning_rate=HALF_OF_IT)
    with pytest.warns(UserWarning, match=": found ") as warned:
        found = resumed(follow(recipe), saved(recipe), Clock(4, length), WHERE, "raise")
    assert found.clock == CLOCK
    assert [str(each.message) for each in warned] == [
        f"HyperparameterScheduler: found a run of {text} that began as one of 3 epochs; percentages still refer to 3 "
        f"epochs: write on_change='use_new' to make them refer to {text}."
    ]
    assert continues(recipe, recipe, Clock(4, length), on_change="use_new").clock == Clock(4, length)
    units = Recipe(learning_rate=LinearDecay(over=epochs(3)) * LinearDecay(over=updates(9)))
    assert continues(units, units, Clock(4, length)).clock == Clock(4, length)


def test_what_is_saved_of_a_run_that_was_extended_is_the_length_of_the_first() -> None:
    recipe, its = Recipe(learning_rate=HALF_OF_IT), CLOCK
    for length in (6, 9):
        with pytest.warns(UserWarning, match=f"found a run of {length} epochs that began as one of 3 epochs"):
            found = resumed(follow(recipe), saved(recipe, its), Clock(4, length), WHERE, "raise")
        its = driver_of(*found).clock
        assert its == CLOCK


def test_a_run_that_ends_after_a_number_of_updates_keeps_it() -> None:
    recipe, its = Recipe(learning_rate=HALF_OF_IT), Clock(4, None, 10)
    with pytest.warns(UserWarning, match="found a run of 20 updates that began as one of 10 updates; perc"):
        assert resumed(follow(recipe), saved(recipe, its), Clock(4, 9, 20), WHERE, "raise").clock == its
    with pytest.warns(UserWarning, match="found a run of 5 epochs that began as one of 10 updates; perc"):
        assert resumed(follow(recipe), saved(recipe, its), Clock(4, 5), WHERE, "raise").clock == its
    assert "found 2 updates in an epoch, but the run up to" in refused(recipe, recipe, Clock(2, None, 10), its)


@pytest.mark.parametrize(
    "schedule", [StepDecay(0.5, every=epochs(1)), LinearDecay(over=epochs(3)), HALF_OF_IT], ids=repr
)
def test_other_updates_in_an_epoch_leave_a_schedule_in_epochs_untouched_and_nothing_is_said(schedule: Schedule) -> None:
    recipe = Recipe(learning_rate=schedule)
    for now in (2, 8, None):
        assert continues(recipe, recipe, Clock(now, 3)).clock == Clock(now, 3)


def test_other_updates_in_an_epoch_are_refused_where_a_schedule_counts_updates_as_no_change_of_the_recipe() -> None:
    recipe = Recipe(learning_rate=HALF_OF_IT, weight_decay=LinearDecay(over=updates(9)))
    message = refused(recipe, recipe, Clock(2, 3))
    assert message == (
        "HyperparameterScheduler: found 2 updates in an epoch, but the run up to epoch 1, update 2 had 4, and a "
        "schedule that counts updates; keep the batch size and the number of devices, write the schedule in "
        "epochs, or write on_change='use_new'."
    )
    assert "was" not in message
    assert continues(recipe, recipe, Clock(2, 3), on_change="use_new").clock == Clock(2, 3)
    assert refused(recipe, HALVED, Clock(2, 3), on_change="use_saved") == message
