"""torch's hooks of an optimizer: each is called once, in torch's order, and may change what it may change there."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from .inputs import CASES, Case, some, step

ALL = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))


@ALL
def test_hooks_of_a_step(case: Case) -> None:
    model, called = some((3, 2)), []
    optimizer = case.build(model)
    handles = [
        optimizer.register_step_pre_hook(lambda *_: called.append("before")),
        optimizer.register_step_post_hook(lambda *_: called.append("after")),
        register_optimizer_step_pre_hook(lambda *_: called.append("before any")),
        register_optimizer_step_post_hook(lambda *_: called.append("after any")),
    ]
    step(model, optimizer, 2)
    assert called == ["before any", "before", "after", "after any"] * 2
    for handle in handles:
        handle.remove()
    step(model, optimizer, 1)
    assert len(called) == 8


@ALL
def test_a_hook_may_give_a_step_its_closure(case: Case) -> None:
    model = some((3, 2))
    optimizer = case.build(model)
    optimizer.register_step_pre_hook(lambda self, args, kwargs: ((self,), {"closure": lambda: 5.0}))
    model.gradients()
    assert optimizer.step() == 5.0


@ALL
def test_hooks_of_state_dict(case: Case) -> None:
    model, called = some((3, 2)), []
    optimizer = case.build(model)
    optimizer.register_state_dict_pre_hook(lambda *_: called.append("before"))
    optimizer.register_state_dict_post_hook(lambda _, state: {**state, "extra": 1})
    assert optimizer.state_dict()["extra"] == 1
    assert called == ["before"]


@ALL
def test_hooks_of_load_state_dict(case: Case) -> None:
    model, called = some((3, 2)), []
    optimizer = case.build(model)
    step(model, optimizer, 1)

    def before(_: Any, state: dict[str, Any]) -> dict[str, Any]:
        groups = [{**group, "weight_decay": 0.25} for group in state["param_groups"]]
        return {**state, "param_groups": groups}

    optimizer.register_load_state_dict_pre_hook(before)
    optimizer.register_load_state_dict_post_hook(lambda *_: called.append("after"))
    optimizer.load_state_dict(optimizer.state_dict())
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.25}
    assert called == ["after"]
    assert torch.is_tensor(model.every[0])
