"""What traced or compiled train steps need: variables created outside, and sums rounded like torch's."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
from keras import ops


def outside_of_traces() -> AbstractContextManager[Any]:
    """The scope for creating variables: a step that tensorflow traces cannot assign to a new variable, nor create one
    under a control dependency."""
    if keras.backend.backend() != "tensorflow":
        return nullcontext()
    import tensorflow as tf

    scope: AbstractContextManager[Any] = tf.init_scope()
    return scope


def rounded_sum(product: Any, term: Any) -> Any:
    """product + term, with the product rounded first, as in torch.

    XLA would fuse the two into one multiply-add; in the decay of the weights that adds up to 40 units in the last place
    over 1,000 updates. A second use of the product prevents it. The comparison is only false for NaN, where both
    branches are NaN.
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
