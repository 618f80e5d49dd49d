"""The recipe of a keras-adamw optimizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import index, mul
from typing import Any, Literal

from ..arguments.check import checks_arguments
from ..schedules.durations import updates
from ..schedules.ramps import CosineDecay
from ..schedules.schedule import Schedule
from ..schedules.serializable import real
from ..schedules.shapes import InverseTimeDecay, Normalized
from ..specs.adamw import AdamW
from ..specs.nadamw import NAdamW
from ..specs.parameter_rules import ParameterRule
from ..specs.sgdw import SGDW
from ..specs.spec import Spec
from .recipe import UNCHANGED, Recipe


@checks_arguments
def from_keras_adamw(
    optimizer: Literal["AdamW", "NadamW", "SGDW"] = "AdamW",
    *,
    learning_rate: float | None = None,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    decay: float = 0.0,
    amsgrad: bool = False,
    schedule_decay: float = 0.004,
    momentum: float = 0.0,
    nesterov: bool = False,
    total_iterations: int = 0,
    total_iterations_wd: int | None = None,
    use_cosine_annealing: bool = False,
    autorestart: bool | None = None,
    eta_min: float = 0.0,
    eta_max: float = 1.0,
    t_cur: int = 0,
    lr_multipliers: Mapping[str, float] | None = None,
    weight_decays: Mapping[str, tuple[float, float]] | None = None,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    model: object = None,
) -> Recipe:
    """The recipe of a keras-adamw optimizer: pass the arguments that it was made with.

    In update k = 0, 1, ..., with T = total_iterations and n = total_iterations_wd or T, annealing is::

        eta(k) = eta_min + (eta_max - eta_min) * (1 + cos(pi * c / (T - 1))) / 2        where c = (t_cur + k) % T
        eta(k) = 1                                                                      without annealing

    and the values are::

        learning rate    = learning_rate * eta(k) / (1 + decay * k)
        a weight's decay = eta(k) * sqrt(1 / n) * (l1 * sign(theta) + l2 * theta)

    The decay is not multiplied by the learning rate. `docs/keras_adamw.md` lists what deviates, and why.

    Args:
        optimizer: Which of keras-adamw's optimizers.
        learning_rate: Of it; 0.01 for SGDW and 0.001 for the others by default.
        beta_1: Of AdamW and NadamW.
        beta_2: Of AdamW and NadamW.
        epsilon: Of AdamW and NadamW.
        decay: Decay of the learning rate per update.
        amsgrad: Of AdamW.
        schedule_decay: Of NadamW.
        momentum: Of SGDW.
        nesterov: Of SGDW.
        total_iterations: Updates in a cycle.
        total_iterations_wd: Updates by which the weight decays are normalized; total_iterations by default.
        use_cosine_annealing: Whether learning rate and weight decays are annealed.
        autorestart: False keeps eta_min from the end of the cycle on, where keras-adamw goes up again.
        eta_min: Multiplier at the end of a cycle.
        eta_max: Multiplier at its start.
        t_cur: Where in the cycle the first update is.
        lr_multipliers: By a part of a parameter's path; the first that occurs in the path holds.
        weight_decays: Pairs (l1, l2) by path, as in `describe_parameters`; a ":0" at the end is left out. Parameters
            that are not listed do not decay.
        clipnorm: Largest norm of each parameter's gradient.
        clipvalue: Largest absolute value in a gradient.
        model: Not used here: pass weight_decays=extract_weight_decay(model) instead.

    Raises:
        ValueError: A decay or an annealing without total_iterations, autorestart without annealing, or a number out of
            range.

    Source: keras-adamw 1.38; Loshchilov and Hutter 2019.

    >>> recipe = from_keras_adamw(total_iterations=5, use_cosine_annealing=True)
    >>> [round(eta, 3) for eta in recipe.learning_rate.preview(epochs=6, updates_per_epoch=1)]
    [1.0, 0.854, 0.5, 0.146, 0.0, 1.0]
    """
    if model is not None:
        raise ValueError(
            "from_keras_adamw: found a model; give weight_decays=samestep.keras.extract_weight_decay(model) instead."
        )
    pairs = {
        _path(name): (real(l1, f"weight_decays[{name!r}]"), real(l2, f"weight_decays[{name!r}]"))
        for name, (l1, l2) in (weight_decays or {}).items()
        if (l1, l2) != (0, 0)
    }
    cycle = index(total_iterations)
    if cycle < 2 and (pairs or use_cosine_annealing):
        what = "weight_decays" if pairs else "use_cosine_annealing=True"
        raise ValueError(
            f"from_keras_adamw: found {what} and total_iterations={cycle}, with which keras-adamw turns it off; give "
            f"the number of updates in a cycle, at least 2."
        )
    restarts = use_cosine_annealing if autorestart is None else autorestart
    if restarts and not use_cosine_annealing:
        raise ValueError("from_keras_adamw: found autorestart=True; it needs use_cosine_annealing=True.")
    if index(t_cur) < 0 or (t_cur and not use_cosine_annealing):
        raise ValueError(
            f"from_keras_adamw: found t_cur={t_cur}; expected at least 0, and 0 without use_cosine_annealing=True."
        )
    eta: list[Schedule] = []
    if use_cosine_annealing:
        # The last update of a cycle has eta_min already, which is what inclusive means.
        cosine: Schedule = CosineDecay(updates(cycle), eta_min, start=eta_max, inclusive=True)
        cosine = cosine.repeat(updates(cycle)) if restarts else cosine
        eta = [cosine.skip(updates(t_cur)) if t_cur else cosine]
    rate = [*eta, *([InverseTimeDecay(decay, every=updates(1))] if decay else [])]
    horizon = updates(cycle if total_iterations_wd is None else total_iterations_wd)
    largest = max(map(sum, pairs.values()), default=0.0)
    shared: Any = {
        "weight_decay": largest,
        "weight_decay_basis": "update",
        "parameters": _rules(lr_multipliers or {}, pairs, largest),
        "clipnorm": clipnorm,
        "clipvalue": clipvalue,
    }
    alpha = (1e-2 if optimizer == "SGDW" else 1e-3) if learning_rate is None else learning_rate
    betas = beta_1, beta_2
    spec: Spec
    match optimizer:
        case "AdamW":
            spec = AdamW(alpha, betas=betas, epsilon=epsilon, amsgrad=amsgrad, epsilon_mode="hat", **shared)
        case "NadamW":
            spec = NAdamW(alpha, betas=betas, epsilon=epsilon, momentum_decay=schedule_decay, **shared)
        case "SGDW":
            spec = SGDW(alpha, momentum=momentum, nesterov=nesterov, momentum_mode="keras", **shared)
        case _:
            raise ValueError(f"from_keras_adamw: found {optimizer!r}; expected 'AdamW', 'NadamW' or 'SGDW'.")
    return Recipe(
        spec,
        learning_rate=_product(rate),
        weight_decay=_product([*eta, Normalized(horizon)]) if pairs else UNCHANGED,
    )


def _rules(
    lr_multipliers: Mapping[str, float], pairs: Mapping[str, tuple[float, float]], largest: float
) -> list[ParameterRule]:
    rates = [
        ParameterRule(path=f"**/*{_path(part)}*/**", learning_rate=factor) for part, factor in lr_multipliers.items()
    ]
    decays = [
        ParameterRule(path=path, weight_decay=(l1 + l2) / largest, l1_ratio=l1 / (l1 + l2))
        for path, (l1, l2) in pairs.items()
    ]
    return [*rates, *decays, *([ParameterRule(weight_decay=0)] if pairs else [])]


def _path(name: str) -> str:
    """The name of a Keras 2 weight without its ":0"."""
    return name.removesuffix(":0")


def _product(schedules: Sequence[Schedule]) -> Schedule:
    return reduce(mul, schedules) if schedules else UNCHANGED
