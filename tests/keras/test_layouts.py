"""On the torch backend: whatever the memory layouts, the update is torch's, and nothing else is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
import torch

from samestep import SGDW, AdamW, NAdamW
from samestep.keras import build_optimizer

SHAPE = (16, 3, 4, 4)
UPDATES = 4

Layout = Callable[[torch.Tensor], torch.Tensor]


def plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def channels_last(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)


# How the weight lies in the memory that it is a view of, its gradient, and its moments.
UNLIKE: dict[str, tuple[Layout, Layout, Layout]] = {
    "a slice": (lambda memory: memory[:, 1:2], plain, plain),
    "a transposed slice": (lambda memory: memory[..., 1:].transpose(0, 1), plain, plain),
    "channels last, gradient not": (channels_last, plain, plain),
    "gradient channels last, weight not": (plain, channels_last, plain),
    "turned gradient": (plain, lambda g: g.transpose(0, 3).contiguous().transpose(0, 3), plain),
    "expanded gradient": (plain, lambda g: g[..., :1].expand(g.shape), plain),
}
LIKE: dict[str, tuple[Layout, Layout, Layout]] = {
    "contiguous": (plain, plain, plain),
    "channels last": (channels_last, channels_last, channels_last),
    "channels last, moments not": (channels_last, channels_last, plain),
    "moments channels last": (plain, plain, channels_last),
}
SPECS = [
    AdamW(0.1, 0.1),
    AdamW(0.1, 0.1, amsgrad=True, maximize=True),
    AdamW(0.1, 0.1, epsilon_mode="hat"),
    AdamW(0.1, 0.1, weight_decay_basis="update", l1_ratio=0.5),
    AdamW(0.1, 0.1, clipvalue=0.5),
    SGDW(0.1, 0.1),
    SGDW(0.1, 0.1, 0.9, nesterov=True),
    SGDW(0.1, 0.1, 0.9, momentum_mode="keras"),
    NAdamW(0.1, 0.1),
]


class Training:
    """A variable that is a view of `memory`, and the optimizer that updates it."""

    def __init__(self, spec: Any, layouts: tuple[Layout, Layout, Layout], dtype: str = "float64", **way: Any) -> None:
        layout, self.gradient, moments = layouts
        generator = torch.Generator().manual_seed(0)
        self.memory = torch.randn(SHAPE, generator=generator, dtype=getattr(torch, dtype))
        view = layout(self.memory)
        self.variable = keras.Variable(view.clone().numpy() if dtype != "bfloat16" else view, dtype=dtype)
        self.variable.value.data = view
        self.optimizer: Any = build_optimizer(spec, keras.Sequential(), **way)
        self.optimizer.build([self.variable])
        for variables in self.optimizer.moments().values():
            for moment in variables:
                moment.value.data = moments(moment.value.data)

    def train(self) -> Training:
        for update in range(UPDATES):
            generator = torch.Generator().manual_seed(1 + update)
            value = self.variable.value
            gradient = torch.randn(value.shape, generator=generator, dtype=value.dtype)
            self.optimizer.apply([self.gradient(gradient)], [self.variable])
        return self

    def weights(self) -> torch.Tensor:
        return self.variable.value.detach()


def expected(spec: Any, layouts: tuple[Layout, Layout, Layout], dtype: torch.dtype, **kernel: Any) -> torch.Tensor:
    """What torch's own optimizer makes of the same weight."""
    layout, gradient, _ = layouts
    generator = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(layout(torch.randn(SHAPE, generator=generator, dtype=dtype)))
    optimizer: torch.optim.Optimizer
    if isinstance(spec, AdamW):
        optimizer = torch.optim.AdamW([weight], spec.learning_rate, weight_decay=0.1, amsgrad=spec.amsgrad, **kernel)
    else:
        optimizer = torch.optim.SGD([weight], spec.learning_rate, spec.momentum, nesterov=spec.nesterov, **kernel)
    for update in range(UPDATES):
        generator = torch.Generator().manual_seed(1 + update)
        weight.grad = gradient(torch.randn(weight.shape, generator=generator, dtype=dtype))
        optimizer.step()
    return weight.detach()


if keras.backend.backend() == "torch":  # the other backends' arrays have no strides
    EXPRESSED = [AdamW(0.1, 0.1), AdamW(0.1, 0.1, amsgrad=True), SGDW(0.1, 0.0), SGDW(0.1, 0.0, 0.9, nesterov=True)]

    @pytest.mark.parametrize("way", [{}, {"fused": True}], ids=str)
    @pytest.mark.parametrize("name", [*UNLIKE, *LIKE])
    @pytest.mark.parametrize("spec", EXPRESSED, ids=repr)
    def test_unlike_layouts_are_updated_as_by_torchs_default_and_others_by_its_fused_kernel(
        spec: Any, name: str, way: dict[str, bool]
    ) -> None:
        layouts = {**UNLIKE, **LIKE}[name]
        kernel = {"fused": True} if name in LIKE else {}
        training = Training(spec, layouts, "float32", **way)
        start = training.weights().clone()
        assert torch.equal(training.train().weights(), expected(spec, layouts, torch.float32, **kernel))
        assert not torch.equal(training.weights(), start)

    @pytest.mark.parametrize("name", [*UNLIKE, *LIKE])
    @pytest.mark.parametrize("spec", SPECS, ids=repr)
    def test_every_spec_makes_the_same_update_by_every_kernel(spec: Any, name: str) -> None:
        """In float64, where the kernels differ in the last digits alone; what lies beside the weight stays."""
        layouts = {**UNLIKE, **LIKE}[name]
        ways: list[dict[str, bool]] = [{}]
        if name == "expanded gradient":
            if spec.clip is not None:
                layouts = UNLIKE["turned gradient"]  # torch clips in place, and refuses this
        else:
            ways.append({"foreach": True})  # some of whose kernels write into the gradient, as torch's own
        ways += [] if isinstance(spec, NAdamW) else [{"fused": True}]
        reference = Training(spec, layouts, foreach=False)
        beside = reference.memory.clone()
        reference.train()
        untouched = reference.memory == beside
        for way in ways:
            ours = Training(spec, layouts, **way).train()
            torch.testing.assert_close(ours.weights(), reference.weights(), rtol=1e-10, atol=1e-12)
            assert torch.equal(ours.memory[untouched], beside[untouched])

    @pytest.mark.parametrize("spec", [spec for spec in SPECS if isinstance(spec, SGDW)], ids=repr)
    @pytest.mark.parametrize("way", [{}, {"fused": True}], ids=str)
    def test_all_elements_of_16_bits_are_updated(spec: Any, way: dict[str, bool]) -> None:
        """torch 2.13's fused SGD updates the last few elements alone."""
        default = Training(spec, LIKE["contiguous"], "bfloat16", foreach=False).train()
        ours = Training(spec, LIKE["contiguous"], "bfloat16", **way).train()
        assert torch.equal(ours.weights(), default.weights())

    @pytest.mark.parametrize("spec", SPECS, ids=repr)
    def test_a_trained_convolution_may_be_turned_to_channels_last(spec: Any) -> None:
        """A Keras model is a torch module on this backend, and may change its memory format between two fits."""

        def trained(change: bool) -> torch.Tensor:
            keras.utils.set_random_seed(0)
            kernel = keras.Variable(torch.randn(SHAPE).numpy())
            optimizer: Any = build_optimizer(spec, keras.Sequential())
            optimizer.build([kernel])
            for update in range(UPDATES):
                gradient = torch.randn(SHAPE)
                if change and update >= 2:
                    kernel.value.data, gradient = channels_last(kernel.value.data), channels_last(gradient)
                optimizer.apply([gradient], [kernel])
            return kernel.value.detach()

        assert torch.equal(trained(True), trained(False))
