"""samestep's optimizers and callbacks under the names, and with the arguments and numbers, of Keras' own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from samestep import SGDW, AdamW, NAdamW
from samestep.core.specs.spec import Spec
from samestep.keras import LearningRateScheduler, ReduceOnPlateau, build_optimizer
from samestep.keras.optimizers import RECORDS

_CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")


class StandIn(type):
    """A class of this kind makes what stands in for one of Keras' own, and what it made counts as its instance."""

    kind: type
    make: Callable[..., Any]
    asked = 0  # how often, all of them

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        StandIn.asked += 1
        return cls.make(*args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.kind)

    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


def _optimizer(spec: Callable[..., Spec], options: dict[str, Any]) -> keras.optimizers.Optimizer:
    """The optimizer of a spec that has these of Keras' clips, and these options."""
    given = {name: value for name, value in options.items() if value is not None}
    clips = {name: given.pop(name) for name in _CLIPS if name in given}
    # A spec without rules needs no model: it is held weakly, and asked only for what rules match.
    return build_optimizer(spec(**clips), keras.Sequential(), **given)


def _adam(learning_rate: Any, weight_decay: Any, betas: Any, epsilon: float, amsgrad: bool, options: Any) -> Any:
    return _optimizer(
        lambda **clips: AdamW(
            learning_rate, weight_decay, betas=betas, epsilon=epsilon, amsgrad=amsgrad, epsilon_mode="hat", **clips
        ),
        options,
    )


def adam(
    learning_rate: Any = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    amsgrad: bool = False,
    weight_decay: float | None = None,
    **options: Any,
) -> Any:
    return _adam(learning_rate, weight_decay or 0.0, (beta_1, beta_2), epsilon, amsgrad, options)


def adamw(
    learning_rate: Any = 0.001,
    weight_decay: float = 0.004,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    amsgrad: bool = False,
    **options: Any,
) -> Any:
    return _adam(learning_rate, weight_decay, (beta_1, beta_2), epsilon, amsgrad, options)


def nadam(
    learning_rate: Any = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: float | None = None,
    **options: Any,
) -> Any:
    return _optimizer(
        lambda **clips: NAdamW(
            learning_rate, weight_decay or 0.0, betas=(beta_1, beta_2), epsilon=epsilon, momentum_decay=1.0, **clips
        ),
        options,
    )


def sgd(
    learning_rate: Any = 0.01,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float | None = None,
    **options: Any,
) -> Any:
    return _optimizer(
        lambda **clips: SGDW(
            learning_rate, weight_decay or 0.0, momentum=momentum, nesterov=nesterov, momentum_mode="keras", **clips
        ),
        options,
    )


def plateau(monitor: str = "val_loss", factor: float = 0.1, patience: int = 10, **options: Any) -> Any:
    return ReduceOnPlateau.like_keras(monitor, factor=factor, patience=patience, **options)


def _stand_ins(*all_of_them: tuple[str, type, Callable[..., Any]]) -> dict[str, StandIn]:
    """By the public name in Keras."""
    return {
        name: StandIn(name.rsplit(".", 1)[1], (), {"kind": kind, "make": staticmethod(make)})
        for name, kind, make in all_of_them
    }


STAND_INS = _stand_ins(
    ("keras.optimizers.Adam", RECORDS[AdamW].optimizer, adam),
    ("keras.optimizers.AdamW", RECORDS[AdamW].optimizer, adamw),
    ("keras.optimizers.Nadam", RECORDS[NAdamW].optimizer, nadam),
    ("keras.optimizers.SGD", RECORDS[SGDW].optimizer, sgd),
    ("keras.callbacks.LearningRateScheduler", LearningRateScheduler, LearningRateScheduler),
    ("keras.callbacks.ReduceLROnPlateau", ReduceOnPlateau, plateau),
)
