"""What all kinds of updates share: settings, clipping, and the weight decay that torch's kernels lack."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.optim.optimizer import _default_to_fused_or_foreach

from ..core.specs.parameter_rules import Multipliers, Parameter
from ..core.specs.spec import CLIP_EPSILON, Spec
from .versions import total_norm


class Settings(NamedTuple):
    """The settings of one update of a parameter group.

    Attributes:
        learning_rate: This update's value, including the group's multiplier.
        weight_decay: Likewise.
        momentum: This update's value.
        multipliers: The group's multipliers.
        foreach: torch's option of that name.
        fused: Likewise.
        base: The base value of the learning rate if it is the group's own; otherwise it is the spec's, multiplied.
    """

    learning_rate: float
    weight_decay: float
    momentum: float
    multipliers: Multipliers = Multipliers()
    foreach: bool | None = None
    fused: bool | None = None
    base: float | None = None


def can_fuse(weights: Iterable[Tensor]) -> bool:
    """Whether torch's fused kernels accept these weights; they are then the fastest choice."""
    fused, _ = _default_to_fused_or_foreach(list(weights), differentiable=False, use_fused=True)
    return fused


def refuse_complex(spec: Spec, found: Iterable[tuple[Parameter, Tensor]], fused: bool) -> None:
    """Refuse what torch cannot do with complex parameters.

    Raises:
        ValueError: A parameter is complex, and its gradient is to be clipped by value or its update to be fused.
    """
    asked = "fused=True" if fused else f"clipvalue={spec.clipvalue!r}" if spec.clipvalue is not None else None
    for described, weight in found if asked else ():
        if weight.is_complex():
            remedy = "leave fused= out" if fused else "write clipnorm= or global_clipnorm="
            raise ValueError(
                f"build_optimizer: found {asked} and the complex parameter {described.path!r}; expected real "
                f"parameters: {remedy}."
            )


def clip_gradients(spec: Spec, gradients: list[Tensor]) -> None:
    """Clip the gradients of all parameters in place, as the spec says, to the numbers that torch.nn.utils gives."""
    if spec.clip is None or not gradients:
        return
    kind, bound = spec.clip
    if kind == "clipvalue":
        torch._foreach_clamp_min_(gradients, -bound)
        torch._foreach_clamp_max_(gradients, bound)
    elif kind == "global_clipnorm":
        norm = total_norm(gradients)
        factor = torch.clamp(bound / (norm + CLIP_EPSILON), max=1.0)
        for gradient in gradients:
            gradient.mul_(factor.to(gradient.device))
    else:
        for gradient in gradients:
            norm = torch.linalg.vector_norm(gradient)
            gradient.mul_(torch.clamp(bound / (norm + CLIP_EPSILON), max=1.0))


def decay(spec: Spec, settings: Settings, weights: list[Tensor], native: bool = True) -> float:
    """Decay the weights, unless torch's kernel can do it.

    Args:
        spec: The optimizer's spec.
        settings: The group's settings.
        weights: The group's weights.
        native: Whether the kernel's own weight decay is decoupled: it multiplies the weights, not the gradients.

    Returns:
        The weight decay to pass to the kernel.
    """
    l1_ratio = settings.multipliers.l1_ratio
    if native and spec.weight_decay_basis == "learning_rate" and not l1_ratio:
        return settings.weight_decay
    # torch.compile makes a new graph per outcome, so the base values are tested before the value of this update.
    if spec.weight_decay * settings.multipliers.weight_decay or settings.weight_decay:
        own, multiplied = settings.base, spec.learning_rate * settings.multipliers.learning_rate
        base = multiplied if own is None else own
        _shrink(weights, spec.shrink(settings.learning_rate, settings.weight_decay, base), l1_ratio)
    return 0.0


def _shrink(weights: list[Tensor], shrink: float, l1_ratio: float) -> None:
    """weights <- weights * (1 - shrink * (1 - l1_ratio)) - shrink * l1_ratio * sign(weights).

    The sign of a complex number is the number divided by its absolute value.
    """
    retention = 1 - shrink * (1 - l1_ratio)
    if not l1_ratio:
        torch._foreach_mul_(weights, retention)
        return
    for weight in weights:
        sign = torch.sgn(weight)
        weight.mul_(retention).add_(sign, alpha=-(shrink * l1_ratio))
