"""Clips gradients the way torch does, not the way Keras does."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ...core.specs.spec import CLIP_EPSILON, Spec


def clipped(spec: Spec, grads: list[Any]) -> list[Any]:
    """The gradients of an update, clipped as the spec says."""
    if spec.clip is None:
        return grads
    if keras.backend.backend() == "torch":
        from ...torch.kernels import clip_gradients

        clip_gradients(spec, grads)
        return grads
    replicas = 1
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        context = tf.distribute.get_replica_context()
        replicas = 1 if context is None else context.num_replicas_in_sync
        if replicas > 1:
            # Each replica has a part of the sum, and the sum must be clipped; the update sums once more.
            grads = context.all_reduce(tf.distribute.ReduceOp.SUM, grads)
    kind, bound = spec.clip
    if kind == "clipvalue":
        grads = [ops.clip(gradient, -bound, bound) for gradient in grads]
    else:
        norms = [_norm(gradient) for gradient in grads]
        if kind == "global_clipnorm":
            norms = [_norm(ops.stack([ops.cast(norm, norms[0].dtype) for norm in norms]))] * len(grads)
        factors = [ops.minimum(bound / (norm + CLIP_EPSILON), 1.0) for norm in norms]
        grads = [gradient * ops.cast(factor, gradient.dtype) for gradient, factor in zip(grads, factors, strict=True)]
    return grads if replicas == 1 else [gradient / replicas for gradient in grads]


def _norm(of: Any) -> Any:
    """The 2-norm of all elements, in their dtype: `ops.norm` gives float32 on jax, whatever it is given."""
    return ops.sqrt(ops.sum(ops.square(of)))
