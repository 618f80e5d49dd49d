"""Gradients and weights in the precision in which an update is computed, and variables in that of their weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

_HALF = ("bfloat16", "float16")


def computed_in(dtype: Any) -> str:
    """The dtype of an update's numbers and moments for weights of this dtype.

    In half precision, `1 - 1e-3` is 1 and `1e-8` is 0: such weights are updated in float32, and rounded once.
    """
    name: str = keras.backend.standardize_dtype(dtype)
    return "float32" if name in _HALF else name


def wide(variable: Any) -> Any:
    """The value of a weight in the precision of its update; the weight itself if that is its own."""
    return ops.cast(variable, "float32") if keras.backend.standardize_dtype(variable.dtype) in _HALF else variable


def refuse_average(who: str, dtypes: Iterable[str]) -> None:
    """Refuse Keras' average of weights in half precision.

    Raises:
        ValueError: Some of the dtypes are.
    """
    for dtype in sorted(dtypes):
        if dtype in _HALF:
            raise ValueError(
                f"{who}: found use_ema=True and variables in {dtype}, where Keras would round ema_momentum; leave it "
                f"out, or use float32 variables, as with the policy 'mixed_bfloat16'."
            )


def prepared(grads: Any, variables: Any, plain: bool) -> list[Any]:
    """Gradients as dense tensors in the precision of their variables' updates, as every backend's update expects them.

    Args:
        grads: The gradients, one per variable; None for a variable without one.
        variables: The variables, of Keras or the backend.
        plain: Whether all variables are known to be float32.
    """
    pairs = zip(grads, variables, strict=True)
    if keras.backend.backend() == "torch":
        return list(grads) if plain and _are_plain(grads) else _torchs(pairs)
    return [gradient if gradient is None else _dense(gradient, variable) for gradient, variable in pairs]


def _dense(gradient: Any, variable: Any) -> Any:
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        gradient = tf.convert_to_tensor(gradient)  # an embedding's gradient comes as slices
    return ops.cast(ops.convert_to_tensor(gradient, sparse=False), computed_in(variable.dtype))


def _are_plain(grads: Iterable[Any]) -> bool:
    import torch

    float32, strided = torch.float32, torch.strided
    return all(each is None or (each.dtype is float32 and each.layout is strided) for each in grads)


def _torchs(pairs: Iterable[tuple[Any, Any]]) -> list[Any]:
    import torch

    half, strided, found = (torch.bfloat16, torch.float16), torch.strided, []
    for gradient, variable in pairs:
        if gradient is not None:
            dtype = variable.value.dtype
            dtype = torch.float32 if dtype in half else dtype
            gradient = gradient if gradient.layout is strided else gradient.to_dense()
            gradient = gradient if gradient.dtype is dtype else gradient.to(dtype)
        found.append(gradient)
    return found
