"""Every optimizer with every option against the papers' formulas in float64, and torch's own where it has the same."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from samestep import SGDW, AdamW, NAdamW
from samestep.core.specs.spec import Spec
from samestep.lightning import build_optimizer

from ..oracles import Workload


@pytest.fixture(name="workload")
def _workload(workload: Workload) -> Workload:
    return workload.first(300)


class Weights(torch.nn.Module):
    def __init__(self, starts: Any, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.k, self.b = (torch.nn.Parameter(torch.tensor(start, dtype=dtype)) for start in starts)


def trained(model: Weights, optimizer: torch.optim.Optimizer, spec: Any, workload: Workload) -> list[np.ndarray]:
    bases = [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups]
    for (rate, decay, momentum), gradients in zip(workload.rows(spec), workload.gradients, strict=True):
        for group, (own_rate, own_decay) in zip(optimizer.param_groups, bases, strict=True):
            group["lr"] = own_rate * (rate / spec.learning_rate)
            group["weight_decay"] = own_decay * (decay / spec.weight_decay)
            group.update({"betas": (momentum, group["betas"][1])} if "betas" in group else {"momentum": momentum})
        for weight, gradient in zip((model.k, model.b), gradients, strict=True):
            weight.grad = torch.tensor(gradient, dtype=weight.dtype)
        optimizer.step()
    return [weight.detach().numpy() for weight in (model.k, model.b)]


def units(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference, in float32 units in the last place of the largest weight."""
    return float(np.abs(ours.astype("float64") - theirs).max() / np.spacing(np.float32(np.abs(theirs).max())))


def test_in_float64_it_is_the_formula(every_spec: Spec, workload: Workload) -> None:
    model = Weights(workload.starts, torch.float64)
    got = trained(model, build_optimizer(every_spec, model), every_spec, workload)
    for ours, expected in zip(got, workload.expected(every_spec), strict=True):
        # torch keeps NAdam's product of the momenta in float32.
        np.testing.assert_allclose(ours, expected, rtol=1e-6 if isinstance(every_spec, NAdamW) else 1e-11)


@pytest.mark.parametrize("kernel", [{}, {"foreach": True}, {"fused": True}, {"foreach": False}], ids=str)
def test_in_float32_it_is_the_formula_but_for_rounding(
    every_spec: Spec, workload: Workload, kernel: dict[str, bool]
) -> None:
    if isinstance(every_spec, NAdamW) and "fused" in kernel:
        kernel = {}  # torch has no such kernel
    model = Weights(workload.starts)
    got = trained(model, build_optimizer(every_spec, model, **kernel), every_spec, workload)
    for ours, expected, start in zip(got, workload.expected(every_spec), workload.starts, strict=True):
        assert units(start, expected) > 10_000
        # Each of 300 updates rounds a weight up to three times, by half a unit at most; where it takes off the same
        # small number again and again (L1), always the same way.
        assert units(ours, expected) <= 450


def adamw(model: Weights, spec: AdamW, **options: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        model.parameters(), spec.learning_rate, spec.betas, spec.epsilon, spec.weight_decay, spec.amsgrad,
        maximize=spec.maximize, **options,
    )  # fmt: skip


def nadam(model: Weights, spec: NAdamW, **options: Any) -> torch.optim.Optimizer:
    return torch.optim.NAdam(
        model.parameters(), spec.learning_rate, spec.betas, spec.epsilon, spec.weight_decay, spec.momentum_decay,
        decoupled_weight_decay=True, maximize=spec.maximize, **options,
    )  # fmt: skip


def sgd(model: Weights, spec: SGDW, **options: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        model.parameters(), spec.learning_rate, spec.momentum, nesterov=spec.nesterov, maximize=spec.maximize, **options
    )


@pytest.mark.parametrize("kernel", [{"foreach": True}, {"fused": True}, {"foreach": False}], ids=str)
@pytest.mark.parametrize(
    ("spec", "torchs"),
    [
        (AdamW(0.01, 0.1), adamw),
        (AdamW(0.01, 0.1, amsgrad=True, maximize=True), adamw),
        (NAdamW(0.01, 0.1), nadam),
        (NAdamW(0.01, 0.1, (0.8, 0.99), momentum_decay=0.5, maximize=True), nadam),
        (SGDW(0.01, 0.0), sgd),
        (SGDW(0.01, 0.0, 0.9, maximize=True), sgd),
        (SGDW(0.01, 0.0, 0.9, nesterov=True), sgd),
        (AdamW(0.01, 0.1, global_clipnorm=1.0), adamw),
        (NAdamW(0.01, 0.1, global_clipnorm=1.0), nadam),
        (SGDW(0.01, 0.0, 0.9, global_clipnorm=1.0), sgd),
        (AdamW(0.01, 0.1, clipvalue=0.5), adamw),
    ],
    ids=lambda given: getattr(given, "__name__", repr(given)),
)
def test_where_torch_has_the_same_the_bits_are_the_same(
    spec: Any, torchs: Any, kernel: dict[str, bool], workload: Workload
) -> None:
    if isinstance(spec, NAdamW) and "fused" in kernel:
        kernel = {"foreach": None}  # torch has no such kernel; this is its own choice
    ours, theirs = Weights(workload.starts), Weights(workload.starts)
    built, by_hand = build_optimizer(spec, ours, **kernel), torchs(theirs, spec, **kernel)
    for update, gradients in enumerate(workload.gradients):
        for model, optimizer in ((ours, built), (theirs, by_hand)):
            optimizer.param_groups[0]["lr"] = spec.learning_rate * (1 + update % 5) if update % 10 else 0.0
            for weight, gradient in zip((model.k, model.b), gradients, strict=True):
                weight.grad = torch.tensor(gradient)
        if spec.global_clipnorm is not None:
            assert torch.nn.utils.clip_grad_norm_(theirs.parameters(), spec.global_clipnorm) > spec.global_clipnorm
        if spec.clipvalue is not None:
            torch.nn.utils.clip_grad_value_(theirs.parameters(), spec.clipvalue)
        built.step()
        by_hand.step()
    for name in ("k", "b"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name))
    if spec.clip is None and not isinstance(spec, SGDW):
        assert isinstance(built, type(by_hand))


def test_a_checkpoint_goes_on_bit_for_bit(every_spec: Spec, workload: Workload) -> None:
    """Half of the updates, saved and loaded into a new optimizer, and the other half: the bits of all of them."""
    whole = Weights(workload.starts)
    expected = trained(whole, build_optimizer(every_spec, whole), every_spec, workload)
    rows = workload.rows(every_spec)
    model = Weights(workload.starts)
    optimizer: Any = build_optimizer(every_spec, model)
    for update, ((rate, decay, momentum), gradients) in enumerate(zip(rows, workload.gradients, strict=True)):
        if update == len(rows) // 2:
            buffer = io.BytesIO()
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, buffer)
            buffer.seek(0)
            saved = torch.load(buffer, weights_only=True)
            model = Weights([np.zeros_like(start) for start in workload.starts])
            optimizer = build_optimizer(every_spec, model)
            model.load_state_dict(saved["model"])
            optimizer.load_state_dict(saved["optimizer"])
        for group, given in zip(optimizer.param_groups, optimizer.multipliers, strict=True):
            group["lr"] = every_spec.learning_rate * given.learning_rate * (rate / every_spec.learning_rate)
            group["weight_decay"] = every_spec.weight_decay * given.weight_decay * (decay / every_spec.weight_decay)
            group.update({"betas": (momentum, group["betas"][1])} if "betas" in group else {"momentum": momentum})
        for weight, gradient in zip((model.k, model.b), gradients, strict=True):
            weight.grad = torch.tensor(gradient)
        optimizer.step()
    for name, whole_weight in zip(("k", "b"), expected, strict=True):
        assert np.array_equal(getattr(model, name).detach().numpy(), whole_weight)


@pytest.mark.parametrize("copy_of", [copy.deepcopy, lambda optimizer: pickle.loads(pickle.dumps(optimizer))])
def test_a_copy_makes_the_same_update(every_spec: Spec, workload: Workload, copy_of: Any) -> None:
    model = Weights(workload.starts)
    optimizer: Any = build_optimizer(every_spec, model)
    again = copy_of(optimizer)
    for weight, gradient in zip((model.k, model.b), workload.gradients[0], strict=True):
        weight.grad = torch.tensor(gradient)
    copies = [weight for group in again.param_groups for weight in group["params"]]
    ours = [weight for group in optimizer.param_groups for weight in group["params"]]
    for weight, copied in zip(ours, copies, strict=True):
        copied.grad = None if weight.grad is None else weight.grad.clone()
    optimizer.step()
    again.step()
    assert all(map(torch.equal, ours, copies))


def test_a_parameter_without_a_gradient_is_left_alone(every_spec: Spec, workload: Workload) -> None:
    """Also where its group has no other."""
    model = Weights(workload.starts)
    optimizer = build_optimizer(every_spec, model)
    model.k.grad = torch.tensor(workload.gradients[0][0])
    optimizer.step()
    assert not np.array_equal(model.k.detach().numpy(), workload.starts[0])
    assert np.array_equal(model.b.detach().numpy(), workload.starts[1])
