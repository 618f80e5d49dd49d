"""A sample of the mutated recipes and states that `make soak` tries."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import fuzz
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samestep.core.checkpoints.saved import Saved

KNOWN = fuzz.main_objects()
INPUTS = 400
KINDS: dict[str, tuple[Callable[[Any], None], str]] = {
    "recipe": (fuzz.recipe_of, "recipe"),
    "state": (fuzz.state_of, "state"),
    "sealed": (fuzz.sealed_state_of, "state"),
    "second version": (fuzz.state_of, "second"),
    "sealed second version": (fuzz.sealed_state_of, "second"),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_what_is_mutated_is_read_as_it_is() -> None:
    assert len(Saved.from_dict(KNOWN["second"]).optimizers[0].drivers) == 2
    assert Saved.from_dict(KNOWN["second"]) == Saved.from_dict(KNOWN["state"]) == KNOWN["saved"]


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_data_is_read_or_refused_in_a_sentence(kind: str) -> None:
    read, known = KINDS[kind]
    wrong = fuzz.tried(read, lambda generator: fuzz.mutated(KNOWN[known], generator), 12345, INPUTS, slowest=None)
    assert wrong == ""


@pytest.mark.parametrize("place", [None, "version", "optimizer", "learning_rate"])
def test_data_that_is_nested_too_deeply_is_refused_in_a_sentence(place: str | None) -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    data = deep if place is None else {**KNOWN["recipe"], place: deep}
    with pytest.raises(ValueError, match=r"found data that is nested too deeply; expected what to_dict\(\) writes\.$"):
        fuzz.recipe_of(data)


@pytest.mark.parametrize("depth", [499, 5_000])  # of which Python compares the former, and Python 3.13 writes both
def test_a_sealed_state_that_is_nested_too_deeply_is_refused_in_a_sentence(depth: int) -> None:
    data = copy.deepcopy(KNOWN["saved"].to_dict())
    deep: Any = {}
    for _ in range(depth):
        deep = {"type": "Product", "left": deep, "right": {}}
    driver = data["optimizers"]["0"]["drivers"][0]
    driver["settings"]["recipe"]["learning_rate"] = deep
    with pytest.raises(ValueError, match=r"^found a damaged samestep state: it is nested too deeply; use another"):
        Saved.from_dict(data)


def test_damaged_text_is_read_or_refused_in_a_sentence() -> None:
    text = KNOWN["saved"].to_text().encode()
    wrong = fuzz.tried(fuzz.text_of, lambda generator: fuzz.damaged(text, generator), 12345, INPUTS, slowest=None)
    assert wrong == ""


@given(JSON)
def test_any_data_is_no_state_and_no_recipe(data: Any) -> None:
    for read in (fuzz.recipe_of, fuzz.state_of):
        assert fuzz.wrong(read, data) == ""
        with pytest.raises(ValueError, match=r"\.$"):
            read(data)


def test_a_state_with_any_bit_turned_is_refused() -> None:
    saved = Saved(1).with_progress(0, 2)
    text = saved.to_text().encode()
    for at in range(8 * len(text)):
        damaged = bytearray(text)
        damaged[at // 8] ^= 1 << at % 8
        with pytest.raises(ValueError, match=r"^found a (damaged )?samestep state") as caught:
            Saved.from_text(bytes(damaged))
        assert str(caught.value).endswith(".")


def test_the_fuzz_sees_what_is_executed_and_what_is_raised_by_others() -> None:
    """So that its silence means something."""

    def executes(_: Any) -> None:
        exec("1")

    def raises(_: Any) -> None:
        int("x")

    def hides(_: Any) -> None:
        raise KeyError("x")

    for read, expected in ((executes, "exec"), (raises, "ValueError from"), (hides, "KeyError from")):
        assert expected in fuzz.tried(read, random.Random.random, 0, 1, slowest=None)
