"""What a train step that is traced or compiled needs: variables made outside of it, and sums rounded as torch's are."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
from keras import ops


def outside_of_traces() -> AbstractContextManager[Any]:
    """Within a step that tensorflow traces, nothing is assigned to a new variable, and none is made under a control
    dependency."""
    if keras.backend.backend() != "tensorflow":
        return nullcontext()
    import tensorflow as tf

    scope: AbstractContextManager[Any] = tf.init_scope()
    return scope


def rounded_sum(product: Any, term: Any) -> Any:
    """product + term, where the product is rounded before, as torch does it.

    XLA would contract the two into one fused multiply-add: for the decay of the weights, over 1,000 updates, 40 units
    in the last place. A second use of the product keeps it apart; the comparison is false for nan only, where both
    branches are nan.
    """
    if not _compiled_by_xla():
        return product + term
    return ops.where(ops.equal(product, product), product + term, product)


def _compiled_by_xla() -> bool:
    if keras.backend.backend() != "tensorflow":
        return keras.backend.backend() == "jax"
    import tensorflow as tf
    from tensorflow.python.ops import control_flow_util  # there is no public way to ask

    compiled: bool = control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())
    return compiled
