"""One update of AdamW, NAdamW and SGDW, made by torch's own kernels with torch's own numbers.

Where torch expresses a spec, the numbers are those of torch.optim's class, bit for bit. What it does not express is
done to the weights or gradients before its kernel runs: other bases of the weight decay, L1, clipping.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.optim.adamw import adamw as torch_adamw
from torch.optim.nadam import nadam as torch_nadam
from torch.optim.optimizer import _default_to_fused_or_foreach
from torch.optim.sgd import sgd as torch_sgd

from ..core.optimizers import CLIP_EPSILON, SGDW, AdamW, NAdamW, Spec
from ..core.parameters import Multipliers
from .layouts import by_layout, pick


class Settings(NamedTuple):
    """What a group of parameters is updated with: values for this update, and what never changes.

    learning_rate, weight_decay: with the multipliers of the group. foreach, fused: torch's own choice of kernel.
    """

    learning_rate: float
    weight_decay: float
    momentum: float
    multipliers: Multipliers = Multipliers()
    foreach: bool | None = None
    fused: bool | None = None


def can_fuse(weights: Iterable[Tensor]) -> bool:
    """Whether torch's fused kernels take these weights, which then is the fastest choice."""
    fused, _ = _default_to_fused_or_foreach(list(weights), differentiable=False, use_fused=True)
    return fused


def clip_gradients(spec: Spec, gradients: list[Tensor]) -> None:
    """Clip the gradients of all parameters in place, as the spec says; torch.nn.utils has the same numbers."""
    if spec.clip is None or not gradients:
        return
    kind, bound = spec.clip
    if kind == "clipvalue":
        torch._foreach_clamp_min_(gradients, -bound)
        torch._foreach_clamp_max_(gradients, bound)
    elif kind == "global_clipnorm":
        norm = torch.nn.utils.get_total_norm(gradients)
        factor = torch.clamp(bound / (norm + CLIP_EPSILON), max=1.0)
        for gradient in gradients:
            gradient.mul_(factor.to(gradient.device))
    else:
        for gradient in gradients:
            norm = torch.linalg.vector_norm(gradient)
            gradient.mul_(torch.clamp(bound / (norm + CLIP_EPSILON), max=1.0))


def adamw(
    spec: AdamW,
    settings: Settings,
    weights: list[Tensor],
    gradients: list[Tensor],
    firsts: list[Tensor],
    seconds: list[Tensor],
    largest: list[Tensor],
    counts: list[Tensor],
) -> None:
    """One update of AdamW; `counts` are the numbers of updates before it, and are counted up.

    firsts, seconds: the moments. largest: with amsgrad the largest second moments, otherwise empty.
    """
    if not weights:
        return
    weight_decay = _decay(spec, settings, weights)
    lists = [weights, gradients, firsts, seconds, largest if spec.amsgrad else [], counts]
    parts = {0.0: lists}
    if spec.epsilon_mode == "hat":
        # torch adds epsilon after the bias correction: added before it, it is another one in each update.
        together: dict[float, list[int]] = {}
        for index, count in enumerate(map(float, counts)):
            together.setdefault(count, []).append(index)
        parts = {count: pick(lists, indices) for count, indices in together.items()}
    for count, (*like, numbers) in parts.items():
        epsilon = spec.epsilon
        if spec.epsilon_mode == "hat":
            epsilon /= (1 - spec.betas[1] ** (count + 1)) ** 0.5
        for fused, (params, grads, means, squares, peaks, steps) in by_layout(settings.fused, like, [numbers]):
            torch_adamw(
                params,
                grads,
                means,
                squares,
                peaks,
                steps,
                foreach=settings.foreach,
                fused=fused,
                amsgrad=spec.amsgrad,
                beta1=settings.momentum,
                beta2=spec.betas[1],
                lr=settings.learning_rate,
                weight_decay=weight_decay,
                eps=epsilon,
                maximize=spec.maximize,
            )


def nadamw(
    spec: NAdamW,
    settings: Settings,
    weights: list[Tensor],
    gradients: list[Tensor],
    firsts: list[Tensor],
    seconds: list[Tensor],
    products: list[Tensor],
    counts: list[Tensor],
) -> None:
    """One update of NAdamW; `products` are those of mu, and are multiplied, and `counts` are counted up."""
    if not weights:
        return
    torch_nadam(
        weights,
        gradients,
        firsts,
        seconds,
        products,
        counts,
        decoupled_weight_decay=True,
        foreach=settings.foreach,
        maximize=spec.maximize,
        beta1=settings.momentum,
        beta2=spec.betas[1],
        lr=settings.learning_rate,
        weight_decay=_decay(spec, settings, weights),
        momentum_decay=spec.momentum_decay,
        eps=spec.epsilon,
    )


def sgdw(
    spec: SGDW,
    settings: Settings,
    weights: list[Tensor],
    gradients: list[Tensor],
    buffers: list[Tensor | None],
) -> list[Tensor | None]:
    """One update of SGDW; gives the new buffers, which are the old ones where there were some.

    buffers: one for each weight, None before its first update, or none at all where the spec has no momentum.
    """
    if not weights:
        return []
    _decay(spec, settings, weights, native=False)  # torch's own would go into the gradient
    rate, momentum = settings.learning_rate, settings.momentum
    if spec.momentum_mode == "keras":
        gradients, rate = list(torch._foreach_mul(gradients, rate)), 1.0
    made: list[Tensor | None] = []
    if momentum:
        pairs = zip(buffers, gradients, strict=True)
        made = [torch.zeros_like(gradient) if buffer is None else buffer for buffer, gradient in pairs]
    sparse = any(gradient.is_sparse for gradient in gradients)
    # For sparse gradients torch has no fused kernel, and on a CPU its own (2.13) leaves out most elements of 16 bits.
    short = any(dtype.itemsize < 4 for dtype in {weight.dtype for weight in weights})
    chosen = None if sparse or (short and weights[0].device.type == "cpu") else settings.fused
    for fused, (params, grads, moving) in by_layout(chosen, [weights, gradients, made]):
        torch_sgd(
            params,
            grads,
            moving,
            has_sparse_grad=sparse,
            foreach=settings.foreach,
            fused=fused,
            weight_decay=0.0,
            momentum=momentum,
            lr=rate,
            dampening=0.0,
            nesterov=spec.nesterov and momentum != 0,
            maximize=spec.maximize,
        )
    if momentum:
        return made
    if not buffers:
        return [None] * len(weights)
    # torch leaves the buffer alone where the momentum is 0; by the formula it is the gradient.
    return [gradient.neg() if spec.maximize else gradient.clone() for gradient in gradients]


def _decay(spec: Spec, settings: Settings, weights: list[Tensor], native: bool = True) -> float:
    """Decay the weights, unless torch's kernel can and so does it; gives the weight decay for the kernel.

    native: whether the kernel's own weight decay multiplies the weights and leaves the gradients alone.
    """
    l1_ratio = settings.multipliers.l1_ratio
    if native and spec.weight_decay_basis == "learning_rate" and not l1_ratio:
        return settings.weight_decay
    # torch.compile makes another graph of each answer, so it is not a value of this update that is asked for first.
    if spec.weight_decay * settings.multipliers.weight_decay or settings.weight_decay:
        base = spec.learning_rate * settings.multipliers.learning_rate
        _shrink(weights, spec.shrink(settings.learning_rate, settings.weight_decay, base), l1_ratio)
    return 0.0


def _shrink(weights: list[Tensor], shrink: float, l1_ratio: float) -> None:
    """weights <- weights * (1 - shrink * (1 - l1_ratio)) - shrink * l1_ratio * sign(weights)."""
    retention = 1 - shrink * (1 - l1_ratio)
    if not l1_ratio:
        torch._foreach_mul_(weights, retention)
        return
    for weight in weights:
        sign = torch.sign(weight)
        weight.mul_(retention).add_(sign, alpha=-(shrink * l1_ratio))
