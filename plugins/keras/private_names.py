"""The private and undocumented names of Keras and tensorflow that this package uses."""

from __future__ import annotations

from ..core.private_names import PrivateName, listed

_KERAS, _TENSORFLOW = "Keras 3.15.1", "tensorflow 2.21"
_LIST, _MODEL, _OPTIMIZER = "keras.callbacks.CallbackList", "keras.Model", "keras.optimizers.Optimizer"
_VARIABLE, _ON_TENSORFLOW = "keras.Variable", "keras.src.backend.tensorflow.core.Variable"
_ON_JAX = "keras.src.backend.jax.core.Variable"

PRIVATE_NAMES = listed(
    PrivateName(owner, name, seen, why, *versions)
    for owner, name, seen, why, *versions in (
        (_LIST, "callbacks", _KERAS, "which callbacks train together, and to be called first at the end of an epoch"),
        (_LIST, "on_train_begin", _KERAS, "the list is looked up among the callers: a callback is not given it"),
        (_MODEL, "_flatten_layers", _KERAS, "the layers within a layer, for the paths of parameters"),
        (
            "keras.src.ops.function.Function",
            "operations",
            _KERAS,
            "a functional model's layers have the user's names",
        ),
        (_MODEL, "train_function", _KERAS, "a train step is traced anew where penalties were taken out of the model"),
        (_MODEL, "test_function", _KERAS, "likewise"),
        ("keras.layers.Layer", "_trainable_variables", _KERAS, "the variables that a layer itself has"),
        ("keras.src.layers.rnn.conv_lstm", "ConvLSTMCell", _KERAS, "the role of its parameters"),
        (_OPTIMIZER, "_trainable_variables", _KERAS, "which parameters an optimizer updates, by their order"),
        (_OPTIMIZER, "_get_variable_index", _KERAS, "which moments are those of a variable"),
        (_OPTIMIZER, "_iterations", _KERAS, "whether there was any gradient, also one that is only accumulated"),
        (_OPTIMIZER, "_learning_rate", _KERAS, "whether the learning rate of Keras' own optimizer is a variable"),
        (_OPTIMIZER, "_variables", _KERAS, "what Keras' loss scaling saves, without the optimizer inside"),
        (_OPTIMIZER, "_track_variable", _KERAS, "the variables of the table are the optimizer's"),
        (_OPTIMIZER, "_check_variables_are_known", _KERAS, "one sentence if other variables are trainable now"),
        (_OPTIMIZER, "_clip_gradients", _KERAS, "gradients are clipped as torch does it"),
        (_OPTIMIZER, "_backend_update_step", _KERAS, "the values of an update are read once, for all variables"),
        (_OPTIMIZER, "_apply_weight_decay", _KERAS, "the update decays the weights itself"),
        ("keras.optimizers.LossScaleOptimizer", "inner_optimizer", _KERAS, "the optimizer inside of loss scaling"),
        ("keras.optimizers.MultiOptimizer", "optimizers", _KERAS, "the optimizers inside of one for several", "3.15"),
        (_VARIABLE, "_initialize", _KERAS, "the length of the table may change after a step was traced"),
        (_VARIABLE, "_validate_shape", _KERAS, "likewise"),
        (_VARIABLE, "_shape", _KERAS, "likewise"),
        (_VARIABLE, "_value", _KERAS, "likewise"),
        (_VARIABLE, "_dtype", _KERAS, "likewise"),
        (_ON_JAX, "_layout", _KERAS, "whether a variable of the table is distributed over devices"),
        (_VARIABLE, "_convert_to_tensor", _KERAS, "likewise"),
        (_ON_TENSORFLOW, "_restore_from_tensors", _KERAS, "a tf.train.Checkpoint does not restore the table"),
        (_ON_TENSORFLOW, "_map_aggregation", _KERAS, "likewise, under a distribution strategy"),
        ("torch.nn.Module", "_modules", "torch 2.13", "where a layer has its layers once more, which is no name"),
        (
            "tensorflow.python.trackable.base.Trackable",
            "_self_unconditional_dependency_names",
            _TENSORFLOW,
            "where a model has its attributes once more, which the user did not keep there",
        ),
        (
            "tensorflow.python.ops.control_flow_util",
            "GraphOrParentsInXlaContext",
            _TENSORFLOW,
            "whether XLA compiles a step, and would contract a product and a sum into one operation",
        ),
    )
)
