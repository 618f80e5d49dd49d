"""Builds Keras optimizers from specs."""

from __future__ import annotations

import weakref
from typing import Any

import keras

from ..core.arguments.check import checks_arguments
from ..core.arguments.given import model_error
from ..core.callbacks.due import Due, spec_of
from ..core.recipes.recipe import Recipe
from ..core.specs.parameter_rules import Parameter, assign
from ..core.specs.records import record_of
from ..core.specs.spec import Spec, check_options
from .optimizers import RECORDS
from .optimizers.scaled import ScaledOptimizer
from .parameters import parameters


@checks_arguments
def build_optimizer(spec: Spec | Recipe, model: keras.Model, **options: Any) -> keras.optimizers.Optimizer:
    """The Keras optimizer that `spec` describes, for `model.compile(optimizer=...)`.

    Given a recipe, it builds the recipe's optimizer, which warns if it is updated without a callback that drives it.

    For a model with the policy "mixed_float16" it is wrapped in Keras' loss scaling, as compile() would do.

    Args:
        spec: Every number of the optimizer, or the recipe that has it.
        model: The model whose parameters it updates.
        **options: Keras' own `gradient_accumulation_steps`, `use_ema`, `ema_momentum`, `ema_overwrite_frequency`,
            `loss_scale_factor` and `name`. On the torch backend also torch's `foreach` and, for AdamW and SGDW,
            `fused`, which choose the kernel; the fused one by default.

    Returns:
        The optimizer.

    Raises:
        TypeError: `spec` is not a spec or a recipe, `model` is not a Keras model, or an option is unknown.
        ValueError: The recipe has no optimizer; a rule matches nothing, which is raised at once if the model is built,
            otherwise when it is; or a loss that is scaled dynamically has a `loss_scale_factor` too.
    """
    due, spec = Due.of(spec), spec_of(spec, "build_optimizer")
    record = record_of(RECORDS, spec, "build_optimizer")
    check_options(record.options, options)
    if not isinstance(model, keras.Model):
        raise model_error("build_optimizer", model, "keras")
    if model.built and spec.parameters:
        assign(spec.parameters, spec.l1_ratio, [parameter for parameter, _ in parameters(model)])
    scaled = model.dtype_policy.name == "mixed_float16"
    if scaled and options.get("loss_scale_factor") is not None:
        raise ValueError(
            f"build_optimizer: found loss_scale_factor={options['loss_scale_factor']!r} and a model whose policy is "
            f"'mixed_float16', which scales its loss dynamically; leave it out."
        )
    reference = weakref.ref(model)

    def found() -> list[tuple[Parameter, keras.Variable]]:
        there = reference()
        return [] if there is None else parameters(there)

    optimizer = record.optimizer(spec, parameters=found, **options)
    optimizer.due = due
    return ScaledOptimizer(optimizer) if scaled else optimizer
