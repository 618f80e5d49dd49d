"""State: copied, pickled, saved, loaded into another kernel or with other strides, older, or put back to the start."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch

from samestep.core.specs.spec import Spec
from samestep.torch.param_groups import base_key

from .inputs import CASES, OF_TORCH, Case, Parameters, assert_close, some, step

SHAPES = (4, 3), (3,), ()
ALL = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
WITH_KERNEL = [(name, kernel) for name, case in CASES.items() for kernel in case.kernels]
EVERY = pytest.mark.parametrize(("name", "kernel"), WITH_KERNEL)


def started(case: Case, dtype: torch.dtype = torch.float64, **options: Any) -> tuple[Parameters, Any]:
    """A model after two updates, and its optimizer."""
    model = some(*SHAPES, dtype=dtype)
    optimizer = case.build(model, **options)
    step(model, optimizer, 2)
    return model, optimizer


def saved(state: Any) -> Any:
    """What a file has of a state."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def again(model: Parameters) -> Parameters:
    """The same parameters and the gradients that follow."""
    other = Parameters(*model.values())
    other.generator.set_state(model.generator.get_state())
    return other


@ALL
@pytest.mark.parametrize("how", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))], ids=["copy", "pickle"])
def test_a_copy_goes_on_alike_and_keeps_its_spec(case: Case, how: Any) -> None:
    model, optimizer = started(case)
    model.generator, generator = None, model.generator  # type: ignore[assignment]
    for parameter in model.every:
        parameter.grad = None
    other, copied = how((model, optimizer))
    model.generator, other.generator = generator, torch.Generator()
    other.generator.set_state(generator.get_state())
    assert (type(copied), copied.spec, copied.multipliers) == (type(optimizer), optimizer.spec, optimizer.multipliers)
    groups = ([{**group, "params": None} for group in each.param_groups] for each in (copied, optimizer))
    assert next(groups) == next(groups)
    assert other.every[0] is not model.every[0]
    assert all(map(torch.equal, step(other, copied), step(model, optimizer)))


@EVERY
def test_a_state_dict_continues_by_every_kernel(name: str, kernel: str) -> None:
    case = CASES[name]
    model, optimizer = started(case)
    other = again(model)
    fresh = case.build(other, **case.kernels[kernel])
    fresh.load_state_dict(saved(optimizer.state_dict()))
    assert_close(step(other, fresh), step(model, optimizer))


@ALL
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_a_state_dict_continues_to_the_bit(case: Case, dtype: torch.dtype) -> None:
    """torch's own NAdam does not in bfloat16: it rounds the product of its momenta when it loads it."""
    model, optimizer = started(case, dtype)
    other = again(model)
    fresh = case.build(other)
    fresh.load_state_dict(saved(optimizer.state_dict()))
    assert all(map(torch.equal, step(other, fresh), step(model, optimizer)))


@EVERY
def test_loaded_moments_may_lie_anyhow(name: str, kernel: str) -> None:
    """As after another memory format, or from another program."""
    case = CASES[name]
    model, optimizer = started(case, foreach=False)
    state = saved(optimizer.state_dict())
    for each in state["state"].values():
        for key, value in each.items():
            if isinstance(value, torch.Tensor) and value.ndim == 2:
                each[key] = value.mT.contiguous().mT
    other = again(model)
    fresh = case.build(other, **case.kernels[kernel])
    fresh.load_state_dict(state)
    for group in fresh.param_groups:
        group.update(foreach=case.kernels[kernel].get("foreach"), fused=case.kernels[kernel].get("fused"))
    assert_close(step(other, fresh), step(model, optimizer))


@ALL
def test_a_state_of_an_older_torch_is_continued_by_the_spec_s_numbers(case: Case) -> None:
    """Older groups lack what came since; the number of updates was a Python number."""
    model, optimizer = started(case)
    state = saved(optimizer.state_dict())
    for group in state["param_groups"]:
        for key in ("foreach", "fused", "maximize", "capturable", "differentiable", "nesterov", "amsgrad"):
            group.pop(key, None)
        group.pop("decoupled_weight_decay", None)
    for each in state["state"].values():
        for key in {"step", "mu_product"} & {*each}:
            each[key] = each[key].item()
    other = again(model)
    fresh = case.build(other)
    fresh.load_state_dict(state)
    assert_close(step(other, fresh), step(model, optimizer), 1e-6)


@pytest.mark.parametrize("name", OF_TORCH)
def test_states_go_to_torch_s_class_and_back(name: str) -> None:
    case = OF_TORCH[name]
    model, optimizer = started(case)
    theirs, ours = again(model), again(model)
    assert case.stock is not None
    stock, back = case.stock(list(theirs.every)), case.build(ours)
    stock.load_state_dict(saved(optimizer.state_dict()))
    back.load_state_dict(saved(stock.state_dict()))
    expected = step(model, optimizer)
    assert_close(step(theirs, stock), expected)
    assert_close(step(ours, back), expected)


@EVERY
def test_reset_is_an_optimizer_as_built(name: str, kernel: str) -> None:
    case = CASES[name]
    options = case.kernels[kernel]
    model, optimizer = started(case, **options)
    for group in optimizer.param_groups:
        group[base_key("learning_rate")] = 123.0  # as a training leaves it
        group["weight_decay"] = 0.125
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(5.0)
        else:
            group["lr"] = 5.0
    before, other = model.values(), again(model)
    optimizer.reset()
    assert all(map(torch.equal, model.values(), before))
    fresh = case.build(other, **options)
    assert not optimizer.state
    if not case.tensor_lr:
        assert [{**group, "params": 0} for group in optimizer.param_groups] == [
            {**group, "params": 0} for group in fresh.param_groups
        ]
    assert all(map(torch.equal, step(model, optimizer), step(other, fresh)))


def test_reset_keeps_tensors_of_the_groups() -> None:
    case = CASES["SGD, tensor lr"]
    _, optimizer = started(case)
    rate = optimizer.param_groups[0]["lr"]
    rate.fill_(5.0)
    optimizer.reset()
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate == torch.tensor(case.spec.learning_rate)


@ALL
def test_it_can_be_printed(case: Case) -> None:
    assert "weight_decay" in str(case.build(some((2, 2))))


@ALL
def test_a_scheduler_of_torch_drives_it(case: Case) -> None:
    model = some((2, 2))
    optimizer = case.build(model)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    step(model, optimizer, 1)
    scheduler.step()
    assert float(optimizer.param_groups[0]["lr"]) == pytest.approx(case.spec.learning_rate / 2)


def test_every_kind_is_among_the_cases() -> None:
    assert {type(case.spec) for case in CASES.values()} == {
        kind
        for kind in Spec._registry.values()
        if not kind.__abstractmethods__  # type: ignore[misc]
    }


@ALL
@pytest.mark.filterwarnings("ignore:.*add_param_group")  # of rules and an lr
def test_reset_gives_a_group_that_was_added_its_own_base_values(case: Case) -> None:
    model = some(*SHAPES)
    model.every[2].requires_grad_(False)
    optimizer = case.build(model)
    optimizer.add_param_group({"params": [model.every[2].requires_grad_()], "lr": 0.25})
    step(model, optimizer)
    for group in optimizer.param_groups:
        group["lr"] = group["weight_decay"] = 5.0
    optimizer.reset()
    assert [float(group["lr"]) for group in optimizer.param_groups[-1:]] == [0.25]
    assert {float(group["weight_decay"]) for group in optimizer.param_groups} <= {
        case.spec.weight_decay * multipliers.weight_decay for multipliers in optimizer.multipliers
    }
    assert optimizer.param_groups[0]["lr"] == case.spec.learning_rate * optimizer.multipliers[0].learning_rate
    assert not optimizer.state


@EVERY
def test_a_group_that_is_added_is_updated_as_one_that_was_there(name: str, kernel: str) -> None:
    case = CASES[name]
    ours, theirs = some(*SHAPES), some(*SHAPES)
    ours.every[1].requires_grad_(False)
    optimizer = case.build(ours, **case.kernels[kernel])
    optimizer.add_param_group({"params": [ours.every[1].requires_grad_()]})
    assert_close(step(ours, optimizer), step(theirs, case.build(theirs, foreach=False)))
