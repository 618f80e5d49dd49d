"""Whatever the memory layouts of weights, gradients and moments: the update is torch's, and nothing else is written."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.nn import Parameter

from samestep import SGDW, AdamW, NAdamW
from samestep.core.version_numbers import is_older
from samestep.lightning import build_optimizer

SHAPE = (16, 3, 4, 4)
UPDATES = 4

SPECS = [
    AdamW(0.1, 0.1),
    AdamW(0.1, 0.1, amsgrad=True, maximize=True),
    AdamW(0.1, 0.1, epsilon_mode="hat"),
    AdamW(0.1, 0.1, weight_decay_basis="schedule"),
    AdamW(0.1, 0.1, weight_decay_basis="update", l1_ratio=0.5),
    AdamW(0.1, 0.1, clipvalue=0.5),
    AdamW(0.1, 0.1, global_clipnorm=1.0),
    SGDW(0.1, 0.1),
    SGDW(0.1, 0.1, 0.9),
    SGDW(0.1, 0.1, 0.9, nesterov=True, maximize=True),
    SGDW(0.1, 0.1, 0.9, momentum_mode="keras"),
    SGDW(0.1, 0.1, 0.9, clipnorm=1.0),
    NAdamW(0.1, 0.1),
    NAdamW(0.1, 0.1, weight_decay_basis="update"),
]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def channels_last(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)


def turned(tensor: torch.Tensor) -> torch.Tensor:
    """The same values, with the first and the last dimension changed places in memory."""
    return tensor.transpose(0, -1).contiguous().transpose(0, -1)


def spread(tensor: torch.Tensor) -> torch.Tensor:
    """The same values, with a gap after each of them."""
    return torch.stack([tensor, torch.full_like(tensor, 7.0)], -1)[..., 0]


def expanded(tensor: torch.Tensor) -> torch.Tensor:
    """A gradient of one column, repeated without memory of its own, as that of a sum is."""
    return tensor[..., :1].expand(tensor.shape)


def plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


Layout = Callable[[torch.Tensor], torch.Tensor]
# How the weight lies in the memory that it is a view of, and its gradient.
UNLIKE: dict[str, tuple[Layout, Layout]] = {
    "a slice of channels": (lambda memory: memory[:, 1:2], plain),
    "a slice of columns": (lambda memory: memory[..., :3], plain),
    "every second row": (lambda memory: memory[::2], plain),
    "a transposed slice": (lambda memory: memory[..., 1:].transpose(0, 1), plain),
    "a slice and its gradient alike": (lambda memory: memory[..., :3], lambda g: g.new_zeros(SHAPE)[..., :3].copy_(g)),
    "channels last, gradient not": (channels_last, plain),
    "gradient channels last, weight not": (plain, channels_last),
    "turned gradient": (plain, turned),
    "gradient with gaps": (plain, spread),
    "expanded gradient": (plain, expanded),
    "turned weight, gradient channels last": (turned, channels_last),
}
ALIKE: dict[str, tuple[Layout, Layout]] = {
    "contiguous": (plain, plain),
    "with an offset": (lambda memory: memory[4:], plain),
    "channels last": (channels_last, channels_last),
    "turned": (turned, turned),
    "odd strides of dimensions of one": (
        lambda memory: memory[:, 0].as_strided((16, 1, 1, 16), (16, 5, 3, 1)),
        lambda gradient: gradient.reshape(16, 1, 1, 16).as_strided((16, 1, 1, 16), (16, 2, 9, 1)),
    ),
    "one element": (lambda memory: memory[0, 0, 0, 1:2], lambda g: g.expand(5, 1)[2]),
    "no dimension": (lambda memory: memory[1, 2, 3, 3], plain),
    "no element": (lambda memory: memory[:0], plain),
}


class Weights(torch.nn.Module):
    """A weight that is a view of `memory`, and an ordinary one."""

    def __init__(self, layout: Layout, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.memory = torch.randn(SHAPE, generator=generator).to(dtype)
        view = layout(self.memory)
        self.weight = Parameter(view)
        self.ordinary = Parameter(torch.randn(8, 6, generator=generator).to(dtype))
        if view.untyped_storage().data_ptr() != self.memory.untyped_storage().data_ptr():
            self.memory = view.detach()

    def gradients(self, update: int, layout: Layout) -> None:
        """Give both weights the gradients of this update."""
        generator = torch.Generator().manual_seed(1 + update)
        for weight, of in ((self.weight, layout), (self.ordinary, plain)):
            weight.grad = of(torch.randn(weight.shape, generator=generator).to(weight.dtype))

    def bits(self) -> list[torch.Tensor]:
        """Copies of all memory, what lies beside the weight included."""
        return [self.memory.clone(), self.weight.detach().clone(), self.ordinary.detach().clone()]


def trained(model: Weights, optimizer: torch.optim.Optimizer, gradient: Layout, before: Any = None) -> Weights:
    """The model after updates; `before` is called before each, with its number."""
    for update in range(UPDATES):
        model.gradients(update, gradient)
        if before is not None:
            before(update)
        optimizer.step()
    return model


def same(ours: Weights, theirs: Weights) -> bool:
    return all(map(torch.equal, ours.bits(), theirs.bits()))


def torchs(spec: Any, parameters: list[Any], **kernel: Any) -> torch.optim.Optimizer:
    """torch's own optimizer of a spec that it expresses."""
    if isinstance(spec, AdamW):
        options = {"amsgrad": spec.amsgrad, "maximize": spec.maximize, **kernel}
        return torch.optim.AdamW(parameters, spec.learning_rate, spec.betas, spec.epsilon, spec.weight_decay, **options)
    options = {"nesterov": spec.nesterov, "maximize": spec.maximize, **kernel}
    return torch.optim.SGD(parameters, spec.learning_rate, spec.momentum, **options)


EXPRESSED = [
    AdamW(0.1, 0.1),
    AdamW(0.1, 0.1, amsgrad=True),
    AdamW(0.1, 0.1, maximize=True),
    SGDW(0.1, 0.0),
    SGDW(0.1, 0.0, 0.9),
    SGDW(0.1, 0.0, 0.9, nesterov=True, maximize=True),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", UNLIKE)
@pytest.mark.parametrize("spec", EXPRESSED, ids=repr)
@pytest.mark.parametrize("options", [{}, {"fused": True}], ids=str)
def test_unlike_layouts_are_updated_as_by_torchs_default_and_others_by_its_fused_kernel(
    spec: Any, name: str, dtype: torch.dtype, options: dict[str, bool]
) -> None:
    layout, gradient = UNLIKE[name]
    ours, theirs = Weights(layout, dtype), Weights(layout, dtype)
    start = ours.bits()
    trained(ours, build_optimizer(spec, ours, **options), gradient)
    skips = isinstance(spec, SGDW) and dtype is torch.bfloat16  # torch 2.13's fused SGD would leave most elements out
    default, fused = torchs(spec, [theirs.weight]), torchs(spec, [theirs.ordinary], fused=not skips)
    trained(theirs, fused, gradient, before=lambda _: default.step())
    assert not any(map(torch.equal, ours.bits(), start))
    assert same(ours, theirs)


@pytest.mark.parametrize("name", [*UNLIKE, *ALIKE])
@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_every_spec_makes_the_same_update_by_every_kernel(spec: Any, name: str) -> None:
    """In float64, where the kernels differ in the last digits alone; what lies beside the weight is the same bits."""
    layout, gradient = {**UNLIKE, **ALIKE}[name]
    if spec.clip is not None and gradient is expanded:
        gradient = plain  # neither torch nor samestep clips an expanded gradient in place
    kernels: list[dict[str, bool]] = [{}, {"foreach": True}]
    kernels += [] if isinstance(spec, NAdamW) else [{"fused": True}]
    reference = Weights(layout, torch.float64)
    beside = reference.memory.clone()
    trained(reference, build_optimizer(spec, reference, foreach=False), gradient)
    for kernel in kernels:
        ours = Weights(layout, torch.float64)
        trained(ours, build_optimizer(spec, ours, **kernel), gradient)
        for got, expected in zip(ours.bits(), reference.bits(), strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)
        untouched = reference.memory == beside
        assert torch.equal(ours.memory[untouched], beside[untouched])


@pytest.mark.parametrize("name", ALIKE)
@pytest.mark.parametrize("spec", EXPRESSED, ids=repr)
def test_layouts_that_are_alike_keep_the_fused_kernel(spec: Any, name: str) -> None:
    layout, gradient = ALIKE[name]
    ours, theirs = Weights(layout), Weights(layout)
    trained(ours, build_optimizer(spec, ours), gradient)
    trained(theirs, torchs(spec, list(theirs.parameters()), fused=True), gradient)
    assert same(ours, theirs)


@pytest.mark.parametrize("options", [{}, {"fused": True}], ids=str)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("spec", EXPRESSED[3:], ids=repr)
def test_all_elements_of_16_bits_are_updated(spec: Any, dtype: torch.dtype, options: dict[str, bool]) -> None:
    """torch 2.13's fused SGD updates the last few elements alone on a CPU."""
    ours, theirs = Weights(plain, dtype), Weights(plain, dtype)
    trained(ours, build_optimizer(spec, ours, **options), plain)
    trained(theirs, torchs(spec, list(theirs.parameters())), plain)
    assert same(ours, theirs)


@pytest.mark.parametrize("spec", EXPRESSED, ids=repr)
def test_a_gradient_of_another_layout_is_a_matter_of_its_update_alone(spec: Any) -> None:
    ours, theirs = Weights(plain), Weights(plain)

    def before(model: Weights, update: int) -> None:
        if update in (1, 2):
            assert model.weight.grad is not None
            model.weight.grad = channels_last(model.weight.grad)

    def chosen(update: int) -> None:
        before(theirs, update)
        for group in by_hand.param_groups:
            group["fused"] = update not in (1, 2)

    trained(ours, build_optimizer(spec, ours), plain, before=lambda update: before(ours, update))
    by_hand = torchs(spec, [theirs.weight], fused=True)
    trained(theirs, by_hand, plain, before=chosen)
    assert torch.equal(ours.weight, theirs.weight)


@pytest.mark.parametrize(
    "spec", [spec for spec in SPECS if not isinstance(spec, NAdamW) and "norm" not in repr(spec)], ids=repr
)
@pytest.mark.parametrize("layout", [channels_last, turned])
def test_a_weight_that_changes_its_layout_takes_its_moments_along(spec: Any, layout: Layout) -> None:
    ours, theirs = Weights(plain), Weights(plain)

    def change(update: int) -> None:
        if update >= 2:
            ours.weight.data, ours.weight.grad = layout(ours.weight.data), layout(ours.weight.grad)  # type: ignore[arg-type]

    optimizer = build_optimizer(spec, ours)
    trained(ours, optimizer, plain, before=change)
    trained(theirs, build_optimizer(spec, theirs), plain)
    assert ours.weight.stride() == layout(theirs.weight).stride()
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.ordinary, theirs.ordinary)
    moments = [value for value in optimizer.state[ours.weight].values() if torch.is_tensor(value) and value.ndim]
    assert {moment.stride() for moment in moments} <= {ours.weight.stride()}


@pytest.mark.parametrize("spec", EXPRESSED, ids=repr)
@pytest.mark.parametrize("weight", [plain, channels_last, lambda memory: memory[:, 1:2]])
@pytest.mark.parametrize("saved", [plain, channels_last, turned, spread])
def test_loaded_moments_may_have_any_strides(spec: Any, weight: Layout, saved: Layout) -> None:
    """As those of a checkpoint that was made with another memory format, or converted from another program."""
    ours, theirs = Weights(weight, torch.float64), Weights(weight, torch.float64)
    gradient = channels_last if weight is channels_last else plain
    optimizer, again = build_optimizer(spec, ours), build_optimizer(spec, ours)
    trained(ours, optimizer, gradient)
    state = optimizer.state_dict()
    for each in state["state"].values():
        each.update({key: saved(value) for key, value in each.items() if torch.is_tensor(value) and value.ndim == 4})
    again.load_state_dict(state)
    trained(ours, again, gradient)
    by_hand = torchs(spec, list(theirs.parameters()), foreach=False)
    for _ in range(2):
        trained(theirs, by_hand, gradient)
    for got, expected in zip(ours.bits(), theirs.bits(), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)
    if weight(torch.empty(SHAPE)).shape != SHAPE:
        beside = torch.arange(SHAPE[1]) != 1
        assert torch.equal(ours.memory[:, beside], Weights(weight, torch.float64).memory[:, beside])


@pytest.mark.parametrize("spec", EXPRESSED, ids=repr)
def test_a_checkpoint_of_a_fused_optimizer_does_not_fuse_a_slice(spec: Any) -> None:
    """The checkpoint's groups say fused, whatever the model is that it is loaded for."""
    layout = UNLIKE["a slice of channels"][0]
    fused, ours, theirs = Weights(plain), Weights(layout), Weights(layout)
    saved = build_optimizer(spec, fused).state_dict()
    optimizer = build_optimizer(spec, ours, foreach=False)
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["fused"] is True
    trained(ours, optimizer, plain)
    trained(theirs, torchs(spec, list(theirs.parameters())), plain)
    assert torch.equal(ours.memory, theirs.memory)


@pytest.mark.parametrize("spec", EXPRESSED, ids=repr)
def test_a_copy_of_the_optimizer_looks_at_layouts_too(spec: Any) -> None:
    model, theirs = Weights(channels_last), Weights(channels_last)
    again, ours = copy.deepcopy((build_optimizer(spec, model), model))
    assert ours.weight is not model.weight
    trained(ours, again, plain)
    default, fused = torchs(spec, [theirs.weight]), torchs(spec, [theirs.ordinary], fused=True)
    trained(theirs, fused, plain, before=lambda _: default.step())
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.ordinary, theirs.ordinary)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_sparse_gradient_that_no_module_announces(momentum: float) -> None:
    """torch has no fused kernel for it."""
    ours, theirs = (torch.nn.ParameterList([torch.ones(5, 2), torch.ones(5, 2)]) for _ in range(2))
    optimizers = build_optimizer(SGDW(0.5, 0.0, momentum), ours), torch.optim.SGD(theirs, 0.5, momentum)
    assert optimizers[0].param_groups[0]["fused"] is True
    for update in range(3):
        for (table, other), optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            found = torch.nn.functional.embedding(torch.tensor([1, update]), table, sparse=True)
            (found.sum() + other.square().sum()).backward()
            optimizer.step()
    assert all(map(torch.equal, ours, theirs))
    assert not torch.equal(ours[0], torch.ones(5, 2))


@pytest.mark.parametrize("name", ["a slice of channels", "channels last, gradient not", "expanded gradient"])
@pytest.mark.parametrize("spec", [EXPRESSED[1], EXPRESSED[4], AdamW(0.1, 0.1, weight_decay_basis="update")], ids=repr)
def test_a_compiled_step_looks_at_layouts_too(spec: Any, name: str) -> None:
    torch._dynamo.reset()
    layout, gradient = UNLIKE[name]
    ours, theirs = Weights(layout, torch.float64), Weights(layout, torch.float64)
    beside = ours.memory.clone()
    optimizer = build_optimizer(spec, ours)
    optimizer.step = torch.compile(optimizer.step, backend="eager")  # type: ignore[method-assign]
    trained(ours, optimizer, gradient)
    trained(theirs, build_optimizer(spec, theirs, foreach=False), gradient)
    for got, expected in zip(ours.bits(), theirs.bits(), strict=True):
        # A compiled step corrects the bias in float32, the dtype of torch's counters.
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    untouched = theirs.memory == beside
    assert torch.equal(ours.memory[untouched], beside[untouched])
    torch._dynamo.reset()


@pytest.mark.parametrize("spec", [EXPRESSED[1], EXPRESSED[4], AdamW(0.1, 0.1, weight_decay_basis="update")], ids=repr)
def test_a_weight_may_change_its_layout_under_a_compiled_step(spec: Any) -> None:
    torch._dynamo.reset()
    ours, theirs = Weights(plain, torch.float64), Weights(plain, torch.float64)

    def change(update: int) -> None:
        if update >= 2:
            ours.weight.data, ours.weight.grad = map(channels_last, (ours.weight.data, ours.weight.grad))

    optimizer = build_optimizer(spec, ours)
    optimizer.step = torch.compile(optimizer.step, backend="eager")  # type: ignore[method-assign]
    trained(ours, optimizer, plain, before=change)
    trained(theirs, build_optimizer(spec, theirs), plain)
    assert ours.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=1e-5, atol=1e-5)  # float32, as above
    torch._dynamo.reset()


@pytest.mark.parametrize("spec", [EXPRESSED[1], EXPRESSED[4], AdamW(0.1, 0.1, weight_decay_basis="update")], ids=repr)
@pytest.mark.skipif(is_older(torch.__version__, "2.6"), reason="needs torch >= 2.6: sharded weights on a CPU")
def test_what_a_device_has_of_a_sharded_weight_may_be_a_slice(spec: Any) -> None:
    from torch import distributed
    from torch.distributed.tensor import DTensor

    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        mesh = distributed.init_device_mesh("cpu", (1,))

        def sharded(tensor: torch.Tensor) -> DTensor:
            return DTensor.from_local(tensor, mesh, shape=tensor.shape, stride=(3, 1))  # of the whole, which is dense

        memory, reference = torch.ones(6, 4), torch.ones(6, 4)
        model, other = torch.nn.Module(), torch.nn.Module()
        model.weight, other.weight = Parameter(sharded(memory[:, :3])), Parameter(reference[:, :3])
        optimizers = build_optimizer(spec, model, fused=True), build_optimizer(spec, other, foreach=False)
        for update in range(UPDATES):
            gradient = torch.randn(6, 3, generator=torch.Generator().manual_seed(update))
            model.weight.grad, other.weight.grad = sharded(gradient), gradient.clone()
            for optimizer in optimizers:
                optimizer.step()
        assert not torch.equal(reference[:, :3], torch.ones(6, 3))
        assert torch.equal(memory, reference)
    finally:
        distributed.destroy_process_group()


@pytest.mark.parametrize("spec", [AdamW(0.1), AdamW(0.1, amsgrad=True, clipnorm=1.0), SGDW(0.1, momentum=0.9)], ids=str)
def test_moments_of_another_shape_are_refused_when_they_are_loaded(spec: Any) -> None:
    def stepped(*sizes: int) -> torch.optim.Optimizer:
        model = torch.nn.ModuleList(torch.nn.Linear(size, 3, bias=False) for size in sizes)
        optimizer = build_optimizer(spec, model)
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        return optimizer

    saved, other = stepped(2, 4).state_dict(), stepped(4, 2)
    with pytest.raises(ValueError, match=r"of shape \(3, 2\) for a parameter of shape \(3, 4\); load the state"):
        other.load_state_dict(saved)
    stepped(2, 4).load_state_dict(saved)
