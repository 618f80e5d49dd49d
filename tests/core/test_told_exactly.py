"""What is told is exact at its edges: numbers next to each other, decays of 1 and more, names in messages."""

from __future__ import annotations

import sys
from fractions import Fraction
from numbers import Rational

import pytest

from samestep import SGDW, AdamW, Constant, LinearDecay, Plateau, Recipe, Trace, one_cycle, updates
from samestep.core.callbacks import HyperparameterScheduler, LearningRateScheduler, TraceRecorder
from samestep.core.recipes.words import apart


@pytest.mark.parametrize("decay", [1.0, 1.5])
def test_a_decay_of_all_of_a_weight_or_more_is_told_without_a_half_life(decay: float) -> None:
    told = Recipe(SGDW(1.0, weight_decay=decay), learning_rate=Constant()).plan(2, 1).explain()
    assert "vanish or change their sign" in told
    assert "halve" not in told


def test_a_decay_of_nearly_all_of_a_weight_has_a_half_life() -> None:
    told = Recipe(SGDW(1.0, weight_decay=0.9375), learning_rate=Constant()).plan(2, 1).explain()
    assert "they would halve in 0.25 updates" in told
    assert "vanish" not in told


def test_two_values_have_as_many_digits_as_show_how_far_apart_they_are() -> None:
    assert apart(1.0, 2.0) == ("1", "2")
    assert apart(1.0000011, 1.0000024) == ("1.0000011", "1.0000024")
    assert apart(0.1, 0.1 + 2**-56) == ("0.10000000000000001", "0.10000000000000002")


class Half(Rational):
    """A rational number of another library."""

    numerator, denominator = 1, 2  # type: ignore[assignment]

    def _none(self, *_: object) -> None:
        raise NotImplementedError

    __abs__ = __add__ = __ceil__ = __eq__ = __floor__ = __floordiv__ = __le__ = __lt__ = __mod__ = __mul__ = _none  # type: ignore[assignment]
    __neg__ = __pos__ = __pow__ = __radd__ = __rfloordiv__ = __rmod__ = __rmul__ = __round__ = __rpow__ = _none  # type: ignore[assignment]
    __rtruediv__ = __truediv__ = __trunc__ = _none  # type: ignore[assignment]
    __hash__ = object.__hash__


def test_a_rational_number_of_another_library_is_exact() -> None:
    assert updates(Half()).updates == Fraction(1, 2)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("one_cycle: ", lambda: one_cycle("4 epochs", peak="2 epochs", top=-1)),
        ("Plateau.threshold: ", lambda: Plateau(threshold=1.0)),
    ],
)
def test_an_error_begins_with_what_was_called_and_its_argument(name: str, make: object) -> None:
    with pytest.raises(ValueError, match=f"^{name}"):
        make()  # type: ignore[operator]


def test_each_optimizer_gets_the_resolution() -> None:
    recipe = Recipe(AdamW(), learning_rate=LinearDecay("2 epochs"))
    by_epoch = HyperparameterScheduler({"a": recipe}, resolution="epoch")
    assert [policy.resolution for policy in by_epoch._policies.values()] == ["epoch"]


def test_several_traces_are_refused_by_the_name_of_the_class() -> None:
    recorder = TraceRecorder()
    recorder.traces = {"a": Trace(), "b": Trace()}
    with pytest.raises(
        ValueError, match=r"^TraceRecorder: found the traces of 2 optimizers; write one of traces\['a'\]"
    ):
        _ = recorder.trace


def test_the_warning_of_an_old_name_is_one_of_the_line_that_imports_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "samestep.core.ticks", raising=False)
    with pytest.warns(FutureWarning) as found:
        exec(compile("import samestep.core.ticks", "mine.py", "exec"), {})
    assert [each.filename for each in found] == ["mine.py"]
    assert str(found[0].message).startswith("samestep.core.ticks has moved to samestep.core.schedules.ticks; ")
    assert str(found[0].message).endswith(": for public names write from samestep import ...")


def test_differences_are_a_line_each() -> None:
    plans = [Recipe(SGDW(rate, weight_decay=decay)).plan(2, 2) for rate, decay in ((1.0, 0.5), (0.5, 0.25))]
    told = [line.partition(":")[0] for line in plans[0].diff(plans[1]).splitlines()]
    assert told == ["learning_rate", "weight_decay"]


def test_a_duration_of_two_thousand_decimals_is_written_as_one() -> None:
    assert str(updates(Fraction(1, 2**2000))).startswith("0.000")
    assert str(updates(Fraction(1, 2**2001))).startswith("1/")


def test_the_verbosity_is_an_argument() -> None:
    assert LearningRateScheduler(lambda epoch: 1.0, verbose=1).verbose == 1


@pytest.mark.parametrize(
    ("found", "meant"), [(Recipe, "Recipe(...)"), ({"optimizer": {"name": "AdamW"}}, "Recipe.from_dict(...)")]
)
def test_what_was_meant_by_something_else_is_written_out(found: object, meant: str) -> None:
    with pytest.raises(TypeError) as error:
        HyperparameterScheduler(found)  # type: ignore[arg-type]
    assert str(error.value).endswith(f": write HyperparameterScheduler({meant}).")
