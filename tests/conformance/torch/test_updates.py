"""Whatever torch's own tests give an optimizer: every kernel makes the update of torch's class or the plain loop."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from samestep import SGDW, NAdamW

from .inputs import CASES, OF_TORCH, WITHOUT, Case, Parameters, assert_close, some, step

SHAPES = (5, 4), (3,), (), (0, 2), (1, 1, 1, 6)
WITH_KERNEL = [(name, kernel) for name, case in CASES.items() for kernel in case.kernels]
ALL = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
EVERY = pytest.mark.parametrize(("name", "kernel"), WITH_KERNEL)


def test_every_input_of_torch_is_a_spec_or_known_to_be_none() -> None:
    """Weight decay in the gradient, and dampening."""
    since_torch_2_5 = {"NAdam, weight_decay, momentum_decay", "SGD, weight_decay w/ momentum"}
    assert {*WITHOUT} | since_torch_2_5 == since_torch_2_5 | {
        "NAdam, weight_decay",
        "NAdam, maximize",
        "SGD, non-zero weight_decay",
        "SGD, maximize",
        "SGD, dampening",
        "SGD, nesterov",
    }
    assert len(OF_TORCH) == 13


@pytest.mark.parametrize("kernel", ["default", "loop", "foreach", "fused"])
@pytest.mark.parametrize("name", OF_TORCH)
def test_the_updates_are_those_of_torch_s_class_to_the_bit(name: str, kernel: str) -> None:
    """A scalar and an empty parameter are among them."""
    case = OF_TORCH[name]
    options = case.kernels.get(kernel)
    if options is None:
        assert isinstance(case.spec, NAdamW)  # torch has no fused kernel for it
        options = {}
    ours, theirs = some(*SHAPES, dtype=torch.float32), some(*SHAPES, dtype=torch.float32)
    start, optimizer = ours.values(), case.build(ours, **options)
    assert case.stock is not None
    chosen = {key: value for key, value in optimizer.param_groups[0].items() if key in ("foreach", "fused")}
    got, expected = step(ours, optimizer), step(theirs, case.stock(list(theirs.every), **chosen))
    assert all(map(torch.equal, got, expected))
    assert not any(map(torch.equal, got[:3], start[:3]))


@EVERY
def test_every_kernel_is_the_plain_loop(name: str, kernel: str) -> None:
    case, ours, theirs = CASES[name], some(*SHAPES), some(*SHAPES)
    expected = step(theirs, case.build(theirs, foreach=False))
    assert_close(step(ours, case.build(ours, **case.kernels[kernel])), expected)
    assert not torch.equal(expected[0], some(*SHAPES).every[0])


@EVERY
@pytest.mark.parametrize("layout", ["transposed", "channels_last", "gaps", "gradient"])
def test_memory_layouts_do_not_matter(name: str, kernel: str, layout: str) -> None:
    def laid(tensor: torch.Tensor) -> torch.Tensor:
        if layout == "transposed":
            return tensor.mT.contiguous().mT
        if layout == "channels_last":
            return tensor.contiguous(memory_format=torch.channels_last)
        return torch.stack([tensor, tensor], -1)[..., 0]

    case, theirs, plain = CASES[name], some((2, 3, 4, 5)), some((2, 3, 4, 5))
    ours = Parameters(plain.every[0].detach() if layout == "gradient" else laid(plain.every[0].detach()))
    got = step(
        ours, case.build(ours, **case.kernels[kernel]), layout=laid if layout != "channels_last" else torch.clone
    )
    assert_close(got, step(theirs, case.build(theirs, foreach=False)))


@EVERY
def test_complex_parameters(name: str, kernel: str) -> None:
    case = CASES[name]
    ours, theirs = (some((3, 2), (2,), dtype=torch.complex128) for _ in range(2))
    if kernel == "fused" or case.spec.clipvalue is not None:
        with pytest.raises(ValueError, match="and the complex parameter 'every/0'; expected real parameters"):
            case.build(ours, **case.kernels[kernel])
        return
    assert_close(
        step(ours, case.build(ours, **case.kernels[kernel])), step(theirs, case.build(theirs, foreach=False)), 1e-7
    )


@EVERY
def test_mixed_dtypes(name: str, kernel: str) -> None:
    def mixed() -> Parameters:
        dtypes = torch.float32, torch.float64, torch.bfloat16, torch.float16
        return Parameters(*(some((4, 3)).every[0].detach().to(dtype) for dtype in dtypes))

    case, ours, theirs = CASES[name], mixed(), mixed()
    got = step(ours, case.build(ours, **case.kernels[kernel]))
    expected = step(theirs, case.build(theirs, foreach=False))
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=4 * torch.finfo(one.dtype).eps, atol=4 * torch.finfo(one.dtype).eps)


@EVERY
def test_a_parameter_without_a_gradient_stays_as_it_is(name: str, kernel: str) -> None:
    case, model = CASES[name], some((3, 2), (2,), (4,))
    optimizer = case.build(model, **case.kernels[kernel])
    start = model.values()
    optimizer.step()
    assert all(map(torch.equal, model.values(), start))
    assert not any(optimizer.state.values())
    model.gradients()
    model.every[1].grad = None
    optimizer.step()
    assert [torch.equal(*pair) for pair in zip(model.values(), start, strict=True)] == [False, True, False]


@EVERY
def test_a_gradient_of_zero_without_decay_moves_nothing(name: str, kernel: str) -> None:
    case, model = CASES[name], some((3, 2), (2,))
    optimizer = case.build(model, **case.kernels[kernel])
    for group in optimizer.param_groups:
        group["weight_decay"] = 0.0
    start = model.values()
    for _ in range(2):
        for parameter in model.every:
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    assert all(map(torch.equal, model.values(), start))


@ALL
@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad(case: Case, set_to_none: bool) -> None:
    model = some((3, 2), ())
    optimizer = case.build(model)
    model.gradients()
    optimizer.zero_grad(set_to_none)
    assert all((p.grad is None) if set_to_none else not p.grad.any() for p in model.every)


@ALL
def test_a_closure_is_called_once_and_its_loss_returned(case: Case) -> None:
    model, called = some((3, 2), ()), []

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = sum(parameter.square().sum() for parameter in model.every)
        loss.backward()
        called.append(torch.is_grad_enabled())
        return loss

    optimizer = case.build(model)
    with torch.no_grad():
        assert optimizer.step(closure).shape == ()
    assert called == [True]


@ALL
def test_a_tensor_learning_rate_is_used_as_its_number(case: Case) -> None:
    ours, theirs = some((3, 2), ()), some((3, 2), ())
    optimizer = case.build(ours, foreach=False)
    for group in optimizer.param_groups:
        group["lr"] = torch.tensor(float(group["lr"]), dtype=torch.float64)
    assert_close(step(ours, optimizer), step(theirs, case.build(theirs, foreach=False)))


@ALL
def test_it_goes_the_right_way(case: Case) -> None:
    model = some((4, 3))
    optimizer = case.build(model)
    before = model.values()[0].square().sum()
    for _ in range(3):
        optimizer.step(lambda: model.every[0].square().sum().backward())
    assert (model.values()[0].square().sum() > before) == case.spec.maximize


def has_norm(tensor: torch.Tensor) -> bool:
    """Whether torch has the norm of a sparse tensor."""
    try:
        torch.linalg.vector_norm(tensor)
    except NotImplementedError:
        return False
    return True


@ALL
def test_sparse_gradients_are_used_or_refused_as_by_torch(case: Case) -> None:
    """SGD takes them; Adam and NAdam say that they do not, and an older torch has no norms of them."""
    model = some((4, 2))
    optimizer = case.build(model)
    values = torch.ones(2, 2, dtype=torch.float64)
    model.every[0].grad = torch.sparse_coo_tensor(torch.tensor([[1, 1]]), values, (4, 2), check_invariants=True)
    known = {None, "clipnorm", "global_clipnorm"} if has_norm(model.every[0].grad) else {None}
    if not isinstance(case.spec, SGDW) or (case.spec.clip or (None,))[0] not in known:
        with pytest.raises((RuntimeError, NotImplementedError), match=r"[Ss]parse"):
            optimizer.step()
        return
    start, dense = model.values()[0], some((4, 2))
    dense.every[0].grad = model.every[0].grad.to_dense()
    optimizer.step()
    case.build(dense).step()
    assert_close(model.values(), dense.values())
    assert not torch.equal(model.values()[0], start)


@ALL
def test_groups_use_their_own_learning_rate_and_decay(case: Case) -> None:
    ours, theirs = some((3, 2), (2,)), some((3, 2), (2,))
    optimizer, other = case.build(ours), case.build(theirs)
    for each in (optimizer, other):
        every: Any = [dict(each.param_groups[0], params=[p]) for p in (ours if each is optimizer else theirs).every]
        every[1]["lr"] = 0.0
        each.param_groups, each.multipliers = every, each.multipliers[:1] * 2
    start = ours.values()
    got = step(ours, optimizer, 1)
    assert not torch.equal(got[0], start[0])
    if case.spec.weight_decay_basis != "update":
        assert torch.equal(got[1], start[1])
