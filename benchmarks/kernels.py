"""Whether the kernels that samestep chooses make the same update, whatever the memory layouts, and for complex weights.

python benchmarks/kernels.py [cpu|cuda] prints a table for that device, the GPU if there is one: for each spec and case
the largest distance of a weight after some updates from the plain loop in float64, in units of float32's rounding.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from samestep import SGDW, AdamW, NAdamW
from samestep.lightning import build_optimizer

SHAPE, UPDATES = (64, 3, 8, 8), 8
SPECS: dict[str, Any] = {
    "AdamW": AdamW(0.01, 0.1),
    "AdamW, amsgrad": AdamW(0.01, 0.1, amsgrad=True),
    "AdamW, decay per update": AdamW(0.01, 0.001, weight_decay_basis="update"),
    "AdamW, L1": AdamW(0.01, 0.1, l1_ratio=0.5),
    "AdamW, clipped": AdamW(0.01, 0.1, global_clipnorm=1.0),
    "NAdamW": NAdamW(0.01, 0.1),
    "SGDW": SGDW(0.01, 0.1, 0.9),
}


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)


def _same(tensor: Tensor) -> Tensor:
    return tensor


# The weight as a view of some memory, its gradient, and what becomes of the weight half way.
CASES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "ordinary": (_same, _same, _same),
    "a slice": (lambda memory: memory[:, :1], _same, _same),
    "channels last": (_channels_last, _same, _same),
    "gradient transposed": (_same, lambda gradient: gradient.mT.contiguous().mT, _same),
    "turned to channels last": (_same, _same, _channels_last),
    "complex": (lambda memory: torch.view_as_complex(memory.unflatten(-1, (-1, 2))), _same, _same),
}


def trained(spec: Any, case: str, device: str, dtype: torch.dtype, **options: Any) -> tuple[Tensor, bool]:
    """The weight after the updates, and whether the memory beside it is as it was."""
    view, laid, turned = CASES[case]
    generator = torch.Generator().manual_seed(0)
    memory = torch.randn(SHAPE, generator=generator).to(device, dtype)
    model = torch.nn.Module()
    model.weight = weight = Parameter(view(memory))
    beside = memory[:, 1:].clone()
    optimizer = build_optimizer(spec, model, **options)
    for update in range(UPDATES):
        if update == UPDATES // 2:
            weight.data = turned(weight.data)
        drawn = torch.complex64 if weight.is_complex() else torch.float32
        gradient = torch.randn(weight.shape, generator=generator, dtype=drawn)
        weight.grad = laid(gradient.to(device, weight.dtype))
        optimizer.step()
    return weight.detach(), case != "a slice" or torch.equal(memory[:, 1:], beside)


def table(device: str) -> bool:
    """Print the table of a device; whether every distance is one of rounding."""
    name = torch.cuda.get_device_name() if device == "cuda" else device
    print(f"{name}, torch {torch.__version__}\n\n| spec | {' | '.join(CASES)} |\n|---|{'---|' * len(CASES)}")
    right = True
    for called, spec in SPECS.items():
        cells = []
        for case in CASES:
            expected, _ = trained(spec, case, device, torch.float64, foreach=False)
            got, intact = trained(spec, case, device, torch.float32)
            distance = float((got.to(expected.dtype) - expected).abs().max()) / torch.finfo(torch.float32).eps
            right &= intact and distance < 100
            cells.append(f"{distance:.1f}" + ("" if intact else ", memory beside it overwritten"))
        print(f"| {called} | {' | '.join(cells)} |", flush=True)
    return right


if __name__ == "__main__":
    sys.exit(not table(sys.argv[1] if sys.argv[1:] else "cuda" if torch.cuda.is_available() else "cpu"))
