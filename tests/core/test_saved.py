"""What a checkpoint carries is read as it was written, by this version or an older one, or refused in a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from samestep import SGDW, Clock, CosineDecay, Position, Recipe, StepDecay, epochs, percent
from samestep.core.checkpoints.saved import Driver, Progress, Saved
from samestep.core.checkpoints.sealing import seal

RECIPE = Recipe(SGDW(0.1), CosineDecay(over=percent(100)))
DRIVER = Driver(
    "recipe",
    RECIPE.driven,
    {"recipe": RECIPE.to_dict(), "resolution": "update"},
    Clock(4, 3, 10),
    ("seen", 1, 0.5, None, [True]),
)
OTHER = Driver("gated decay", ("weight_decay",), None, Clock())
SAVED = Saved(1, {0: Progress(2, (DRIVER, OTHER)), 3: Progress()})
SHORT = Saved(1, {0: Progress(2, (Driver("gated decay", ("learning_rate",), {"factor": 0.1}, Clock(4, 3)),))})
SECOND = {
    "version": 2,
    "epoch": 1,
    "optimizers": {
        "0": {
            "update": 2,
            "drivers": [
                {
                    "callback": "EpochGatedDecay",
                    "hyperparameters": ["learning_rate"],
                    "settings": {"factor": 0.1},
                    "updates_per_epoch": 4,
                    "epochs": 3,
                    "max_updates": None,
                    "memory": [],
                    "reduces": False,
                }
            ],
        }
    },
    "digest": "3de14c7496676837e28c19a6d1425cdf74d0b8c24edee562bcbb0ea1a118ab28",
}
DAMAGED = r"^found a damaged samestep state: [^\n]+; use another checkpoint\.$"
REFUSED = (
    rf"{DAMAGED}|^found a samestep state of version \d+; this samestep reads versions up to 3: upgrade samestep\.$"
)


def paths(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is a value in plain data, and that of all of it."""
    yield path
    if isinstance(data, (dict, list)):
        for key in data if isinstance(data, dict) else range(len(data)):
            yield from paths(data[key], (*path, key))


def replaced(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of plain data with another value at a path."""
    if not path:
        return value
    copy = json.loads(json.dumps(data))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return copy


def at(data: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


def test_what_was_written_is_read() -> None:
    assert Saved.from_dict(SAVED.to_dict()) == SAVED
    assert Saved.from_text(SAVED.to_text()) == SAVED
    assert Saved.from_text(SAVED.to_text().encode()) == SAVED
    assert json.loads(SAVED.to_text()) == SAVED.to_dict(), "plain data, without tuples"


def test_the_form_of_version_3_is_the_one_that_files_have() -> None:
    """Another form needs another version: this one is in checkpoints of users."""
    assert SHORT.to_dict() == {
        "version": 3,
        "epoch": 1,
        "optimizers": {
            "0": {
                "update": 2,
                "drivers": [
                    {
                        "policy": "gated decay",
                        "hyperparameters": ["learning_rate"],
                        "settings": {"factor": 0.1},
                        "updates_per_epoch": 4,
                        "epochs": 3,
                        "max_updates": None,
                        "state": [],
                        "reduces": False,
                    }
                ],
            }
        },
        "digest": "0e7cd0f3186a0e03b8c212a60172981ffd467c77cdf00871a6ca6abb87825663",
    }


def test_the_second_version_named_the_class_of_the_callback() -> None:
    assert Saved.from_dict(SECOND) == SHORT
    assert Saved.from_text(json.dumps(SECOND)) == SHORT


@pytest.mark.parametrize(
    ("name", "settings", "reduces", "kind"),
    [
        ("HyperparameterScheduler", {}, False, "recipe"),
        ("EpochGatedDecay", {}, False, "gated decay"),
        ("LearningRateScheduler", None, False, "function"),
        ("ReduceOnPlateau", {}, True, "plateau"),
        # A class of the user's own is told by what it had.
        ("Mine", {"recipe": RECIPE.to_dict(), "resolution": "update"}, False, "recipe"),
        (
            "Mine",
            {"factor": 0.1, "start_epoch": 1, "every_epochs": 1, "floor": 0.0, "base": None},
            False,
            "gated decay",
        ),
        ("Mine", {"monitor": "loss", "start_epoch": 1}, True, "plateau"),
        ("Mine", None, False, ""),
        ("Mine", {"x": 1}, False, ""),
    ],
)
def test_the_kind_of_what_drove_a_run_of_the_second_version(name: str, settings: Any, reduces: bool, kind: str) -> None:
    data: Any = json.loads(json.dumps({key: value for key, value in SECOND.items() if key != "digest"}))
    (driver,) = data["optimizers"]["0"]["drivers"]
    driver.update(callback=name, settings=settings, reduces=reduces, memory=[[0, 0.5]])
    (found,) = Saved.from_dict(seal(data)).optimizers[0].drivers
    assert found == Driver(kind, ("learning_rate",), settings, Clock(4, 3), ([0, 0.5],), reduces)


def test_a_position_is_that_of_the_optimizer_and_the_epoch_s_first_for_one_that_is_not_known() -> None:
    assert SAVED.position(0) == Position(1, 2)
    assert SAVED.position(7) == Position(1)


def test_a_driver_is_found_by_one_of_its_hyperparameters_and_if_there_are_several_by_its_kind() -> None:
    progress = SAVED.optimizers[0]
    assert progress.driver("recipe", ("momentum",)) == DRIVER
    assert progress.driver("gated decay", ("weight_decay", "momentum")) == OTHER
    assert progress.driver("gated decay", ("learning_rate",)) == DRIVER, "another one that drove it"
    assert Progress(0, (OTHER,)).driver("gated decay", ("learning_rate",)) is None
    assert Progress().driver("gated decay", ("learning_rate",)) is None


def test_what_reduces_is_kept_apart_from_what_schedules() -> None:
    reducer = Driver("plateau", ("learning_rate",), {}, Clock(), reduces=True)
    progress = Progress(0, (DRIVER, reducer))
    assert progress.driver("plateau", ("learning_rate",), reduces=True) == reducer
    assert progress.driver("gated decay", ("learning_rate",)) == DRIVER
    assert Progress(0, (DRIVER,)).driver("plateau", ("learning_rate",), reduces=True) is None
    assert Progress(0, (reducer,)).driver("gated decay", ("learning_rate",)) is None


def test_what_several_callbacks_have_of_a_run_is_put_together() -> None:
    recorded = Saved(1, {0: Progress(2), 1: Progress(5)})
    assert recorded.beside(None) == recorded
    assert SAVED.beside(recorded) == Saved(1, {**recorded.optimizers, **SAVED.optimizers})
    assert recorded.beside(SAVED) == Saved(1, {**SAVED.optimizers, 1: Progress(5)})
    both = Saved(1, {0: Progress(2, (OTHER,))}).beside(Saved(1, {0: Progress(2, (DRIVER,))}))
    assert both == Saved(1, {0: Progress(2, (DRIVER, OTHER))})


def test_the_first_version_had_the_position_alone() -> None:
    assert Saved.from_dict({"version": 1, "epoch": 1, "updates": {0: 2, 1: 5}}) == Saved(
        1, {0: Progress(2), 1: Progress(5)}
    )


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "state",
        {},
        {"version": 1},
        {"version": 1, "epoch": 1, "updates": None},
        {"version": 1, "epoch": -1, "updates": {}},
        {"version": 1, "epoch": 1, "updates": {"0": 2}},
        {"version": 1, "epoch": 1, "updates": {0: 2.0}},
        {"version": 1, "epoch": True, "updates": {}},
        {"version": 0, "epoch": 1, "updates": {}},
        {"version": True, "epoch": 1, "updates": {}},
        {"version": "3", "epoch": 1, "optimizers": {}, "digest": ""},
        {"version": 2, "epoch": 1, "optimizers": {}},
        {"version": 3, "epoch": 1, "optimizers": {}},
        {"version": 3, "epoch": 1, "optimizers": {}, "digest": ""},
        {"version": 3, "epoch": 1, "optimizers": {}, "digest": None, 3: 4},
        {**SECOND, "version": 3},
        {**SAVED.to_dict(), "version": 2},
        {**SAVED.to_dict(), "more": 1},
        {**SAVED.to_dict(), "epoch": b"1"},
    ],
    ids=repr,
)
def test_what_is_no_state_is_refused_in_one_sentence(data: Any) -> None:
    with pytest.raises(ValueError, match=DAMAGED):
        Saved.from_dict(data)


def test_a_newer_version_is_not_taken_for_a_damaged_one() -> None:
    with pytest.raises(ValueError, match=r"of version 4; this samestep reads versions up to 3: upgrade samestep\.$"):
        Saved.from_dict({"version": 4, "anything": "else"})


def test_every_other_value_at_every_place_is_recognised() -> None:
    data = SAVED.to_dict()
    places = list(paths(data))
    assert len(places) > 60
    for path in places:
        for value in (None, True, 0, 7, 1.5, "", "text", [], {}, {"type": "SGDW"}, [0], -1):
            before = at(data, path)
            if value == before and type(value) is type(before):
                continue
            with pytest.raises(ValueError, match=REFUSED):
                Saved.from_dict(replaced(data, path, value))


def test_every_field_that_is_lost_is_recognised() -> None:
    data = SAVED.to_dict()
    for path in paths(data):
        if path and isinstance(path[-1], str):
            damaged = json.loads(json.dumps(data))
            del at(damaged, path[:-1])[path[-1]]
            with pytest.raises(ValueError, match=DAMAGED):
                Saved.from_dict(damaged)


def test_every_flip_of_a_bit_of_the_text_is_recognised() -> None:
    text = SHORT.to_text().encode()
    for place in range(8 * len(text)):
        damaged = bytearray(text)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(ValueError, match=REFUSED):
            Saved.from_text(bytes(damaged))


def test_every_truncation_of_the_text_is_recognised() -> None:
    text = SHORT.to_text().encode()
    for length in range(len(text)):
        with pytest.raises(ValueError, match=DAMAGED):
            Saved.from_text(text[:length])


@pytest.mark.parametrize("text", ["[" * 100_000, '{"version":' + "9" * 5000, "\ud800", '{"version":NaN}'], ids=len)
def test_text_that_nobody_wrote_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=DAMAGED):
        Saved.from_text(text)


def test_a_state_that_was_written_with_the_right_digest_and_makes_no_sense_is_refused() -> None:
    for driver in (
        Driver("gated decay", ("learning rate",), None, Clock()),
        Driver(3, ("learning_rate",), None, Clock()),  # type: ignore[arg-type]
        Driver("gated decay", ("learning_rate",), [], Clock()),  # type: ignore[arg-type]
    ):
        with pytest.raises(ValueError, match=DAMAGED):
            Saved.from_dict(Saved(1, {0: Progress(0, (driver,))}).to_dict())
    for saved in (Saved(-1), Saved(1, {0: Progress(-1)}), Saved(1.0), Saved(1, {-1: Progress()})):  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=DAMAGED):
            Saved.from_dict(saved.to_dict())


def test_settings_of_a_schedule_are_read_again_to_the_last_bit() -> None:
    recipe = Recipe(learning_rate=StepDecay(1 / 3, every=epochs("1/3")))
    driver = Driver("recipe", recipe.driven, {"recipe": recipe.to_dict()}, Clock())
    (again,) = Saved.from_text(Saved(0, {0: Progress(0, (driver,))}).to_text()).optimizers[0].drivers
    assert again.settings is not None
    assert Recipe.from_dict(again.settings["recipe"]) == recipe
