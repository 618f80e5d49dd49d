"""Loops on jax that keep the optimizer's variables: exact if they take and put them back in each epoch, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import pytest
from keras import ops

from samestep import Recipe
from samestep.keras import HyperparameterScheduler, TraceRecorder

from .test_own_loops import BACKEND, EPOCHS, SCHEDULES, UPDATES, compiled, listed, loop, planned, scheduler
from .tiny_training import kernel


class Stateless:
    """What a loop on jax keeps of the weights and of the optimizer's variables."""

    def __init__(self, model: keras.Model) -> None:
        import jax

        self.model, optimizer = model, model.optimizer
        self.step = jax.jit(lambda theta, state: optimizer.stateless_apply(state, [ops.ones((2, 1))], theta))
        self.take()

    def variables(self) -> Iterator[Any]:
        return iter([*self.model.trainable_variables, *self.model.optimizer.variables])

    def take(self) -> None:
        (*self.theta,) = (variable.value for variable in self.model.trainable_variables)
        self.state = [variable.value for variable in self.model.optimizer.variables]

    def update(self) -> None:
        self.theta, self.state = self.step(self.theta, self.state)

    def put_back(self) -> None:
        for variable, value in zip(self.variables(), [*self.theta, *self.state], strict=True):
            variable.assign(value)


REMEDY = (
    "in a loop of your own with stateless_apply, take optimizer.variables after on_epoch_begin, and assign them what "
    "the updates return before on_epoch_end."
)


if BACKEND == "jax":  # the other backends' optimizers have no state outside of variables

    @pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
    def test_state_that_is_taken_and_put_back_in_each_epoch(schedule: Any) -> None:
        model, recorder = compiled(), TraceRecorder()
        outside = Stateless(model)
        loop(listed(model, scheduler(schedule), recorder), outside.update, outside.take, outside.put_back)
        assert kernel(model) == planned(schedule)
        assert len(recorder.trace.entries) == EPOCHS * UPDATES

    def test_state_that_is_kept_outside() -> None:
        model, callback = compiled(), scheduler(SCHEDULES[0])
        with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
            loop(listed(model, callback), Stateless(model).update)
        found = f"found no update by {model.optimizer.name!r} in epoch 0"
        assert str(caught.value) == f"{type(callback).__name__}: {found}; {REMEDY}"

    def test_state_that_was_taken_before_training() -> None:
        """With one column the table has the shape that it had; what is put back shows what the updates used."""
        model = compiled()
        outside = Stateless(model)
        with pytest.raises(ValueError, match="from before epoch 1") as caught:
            loop(listed(model, scheduler(SCHEDULES[0])), outside.update, after=outside.put_back)
        assert str(caught.value) == f"HyperparameterScheduler: found optimizer.variables from before epoch 1; {REMEDY}"

    @pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
    @pytest.mark.parametrize("callback", [scheduler(SCHEDULES[1]), TraceRecorder()], ids=["driver", "recorder"])
    def test_state_from_before_the_table_grew(policy: str, callback: Any) -> None:
        model = compiled(policy=policy)
        outside = Stateless(model)
        with pytest.raises(ValueError, match="stateless_apply") as caught:
            loop(listed(model, callback), outside.update)
        assert str(caught.value).splitlines()[0] == (  # jax adds a paragraph
            f"{model.optimizer.name}: found other values than those of optimizer.variables, such as those from before "
            f"training began; in a loop of your own with stateless_apply, take them after on_epoch_begin."
        )

    def test_a_step_that_was_compiled_before_the_table_grew() -> None:
        model = compiled()
        outside = Stateless(model)
        outside.step(outside.theta, outside.state)
        with pytest.raises(ValueError, match="from before epoch 0"):
            loop(listed(model, scheduler(SCHEDULES[1])), outside.update, after=outside.put_back)

    def test_state_of_kerass_own_optimizer_that_is_kept_outside() -> None:
        model = compiled(keras.optimizers.SGD(0.5))
        driver = HyperparameterScheduler(Recipe(learning_rate=SCHEDULES[0]))
        found = f"found no update by {model.optimizer.name!r} in epoch 0; in a loop of your own"
        with pytest.raises(ValueError, match=found):
            loop(listed(model, driver), Stateless(model).update)

    def test_state_of_kerass_own_optimizer_from_before_an_epoch() -> None:
        model = compiled(keras.optimizers.SGD(0.5))
        outside, driver = Stateless(model), HyperparameterScheduler(Recipe(learning_rate=SCHEDULES[0]))
        with pytest.raises(ValueError, match=r"found learning_rate = 0\.5 at epoch 1, update 0"):
            loop(listed(model, driver), outside.update, after=outside.put_back)
