"""What a callback remembers of each of its trainings."""

from __future__ import annotations

import copy
import gc
import pickle

from samestep.core.callbacks.memory import Memory


class Training:
    """A Trainer, or a model."""


def test_each_training_has_its_own_state() -> None:
    memory, first, second = Memory[str](), Training(), Training()
    assert memory.current is None
    assert memory.enter(first, "given before the first", "") == "given before the first"
    assert memory.enter(first, "later", "") == "later"
    assert memory.enter(second, "later", "fresh") == "fresh"
    assert memory.current is second
    assert memory.enter(first, "of the second", "fresh") == "later"
    assert memory.enter(second, "of the first", "fresh") == "of the second"


def test_a_change_that_is_taken_back_has_not_been() -> None:
    memory, first, second = Memory[str](), Training(), Training()
    memory.enter(first, "first", "")
    memory.enter(second, "first", "")
    memory.undo()
    assert memory.current is first
    assert memory.enter(first, "still", "") == "still"
    assert memory.enter(second, "still", "fresh") == "fresh"


def test_a_training_that_is_gone_is_forgotten() -> None:
    memory, first, second = Memory[str](), Training(), Training()
    memory.enter(first, "first", "")
    memory.enter(second, "first", "")
    del first
    gc.collect()
    assert len(memory) == 0
    del second
    gc.collect()
    assert memory.current is None
    assert memory.enter(Training(), "second", "fresh") == "fresh"


def test_copies_are_empty() -> None:
    memory, first, second = Memory[str](), Training(), Training()
    memory.enter(first, "first", "")
    memory.enter(second, "first", "")
    for other in (copy.copy(memory), copy.deepcopy(memory), pickle.loads(pickle.dumps(memory))):
        assert isinstance(other, Memory)
        assert len(other) == 0
        assert other.current is None
