"""What other libraries' schedules, optimizers and callbacks are called here."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from reprlib import repr as shortened

from .mistakes import nearest

_SHAPES = {
    "CosineDecay(over, end=...)": "CosineAnnealingLR CosineDecay CosineLRScheduler cosine_decay_schedule",
    "CosineDecay(over).repeat(every, growth=...)": "CosineAnnealingWarmRestarts CosineDecayRestarts sgdr_schedule",
    "StepDecay(factor, every=...)": "StepLR StepLRScheduler",
    "MultiStepDecay(factor, at=[...])": "MultiStepLR MultiStepLRScheduler",
    "sequence(Constant(1), (time, Constant(multiplier)))": "PiecewiseConstantDecay ConstantLR ConstantSchedule",
    "ExponentialDecay(factor, every=...)": "ExponentialLR ExponentialDecay exponential_decay",
    "LinearDecay(over, start=..., end=...)": "LinearLR LinearSchedule linear_schedule",
    "PolynomialDecay(over, power, end=...)": "PolynomialLR PolynomialDecay PolyLRScheduler polynomial_schedule",
    "InverseTimeDecay(rate, every=...)": "InverseTimeDecay",
    "TanhDecay(over)": "TanhLRScheduler",
    "Warmup(over) * CosineDecay(over)": "warmup_cosine_decay_schedule CosineWarmup LinearWarmupCosineAnnealingLR",
    "Warmup(over)": "LinearWarmup WarmupLR",
    "one_cycle(over, peak=...)": "OneCycleLR OneCycle cosine_onecycle_schedule linear_onecycle_schedule",
    "Triangular(up, down=...)": "CyclicLR CyclicalLearningRate",
    "EpochFunction(function)": "LambdaLR MultiplicativeLR",
    "sequence(first, (time, second))": "SequentialLR join_schedules",
    "first * second": "ChainedScheduler",
    "noam(warmup)": "NoamLR",
}
_OPTIMIZERS = {
    "AdamW(...)": "Adam AdamW",
    "NAdamW(...)": "NAdam Nadam NAdamW NadamW",
    "SGDW(...)": "SGD SGDW Momentum",
}
_CALLBACKS = {
    "ReduceOnPlateau": "ReduceLROnPlateau PlateauLRScheduler ReduceLrOnPlateau",
    "HyperparameterScheduler": "Scheduler HyperparameterSchedule RecipeScheduler",
    "LearningRateScheduler": "LRScheduler LearningRateSchedule LRSchedulerCallback",
}

COUNTERPARTS = {each: ours for ours, names in {**_SHAPES, **_OPTIMIZERS}.items() for each in names.split()}
"""By the name of another library's schedule or optimizer, what to write here."""

CALLBACKS = {each: ours for ours, names in _CALLBACKS.items() for each in names.split()}
"""By the name of another library's callback, samestep's."""

_LIBRARIES = (
    "keras",
    "lightning",
    "optax",
    "pytorch_lightning",
    "tensorflow",
    "tf_keras",
    "timm",
    "torch",
    "transformers",
)
_BASES = {"LRScheduler", "LearningRateSchedule", "Optimizer", "Scheduler"}
_ANY = "expected a spec, such as AdamW(...), or none: a recipe's schedules drive any optimizer"


def mistaken(found: object, kind: str, example: str, known: Collection[str]) -> str:
    """What was found where a value of samestep's is expected, and what to write: the end of a message.

    Args:
        found: What was given.
        kind: What is expected, such as "schedule".
        example: The source of one.
        known: The names of the classes of this kind.
    """
    foreign = _foreign(found, kind)
    if foreign:
        return foreign
    if isinstance(found, type):
        example = f"{found.__name__}(...), an instance" if found.__name__ in known else example
        return f"found the class {found.__name__}; expected a {kind}, such as {example}."
    if isinstance(found, Mapping):
        owner = kind.capitalize() if kind in ("schedule", "spec") else example.partition("(")[0]
        return (
            f"found {shortened(dict(found))} ({type(found).__name__}); expected a {kind}, such as {example}: write "
            f"{owner}.from_dict(...) for what to_dict() wrote, or, in a file for Hydra, _convert_: all."
        )
    if isinstance(found, str) and nearest(found, known):
        example = f"{nearest(found, known)[0]}(...)"
    if inspect.isroutine(found) and kind == "schedule":
        name = getattr(found, "__name__", "function")
        return f"found the function {name}; write EpochFunction({name if name.isidentifier() else 'function'})."
    shown = repr(found)
    if "\n" in shown:  # a model
        return f"found a {type(found).__name__}; expected a {kind}, such as {example}."
    return f"found {shown} ({type(found).__name__}); expected a {kind}, such as {example}."


def _foreign(found: object, kind: str) -> str:
    """The message about another library's object or class; "" for any other."""
    of = found if isinstance(found, type) or inspect.isroutine(found) else type(found)
    library = (getattr(of, "__module__", None) or "").partition(".")[0]
    if library not in _LIBRARIES:
        return ""
    names = [each.__name__ for each in getattr(of, "__mro__", (of,))]
    name = names[0]
    if not {*names} & _BASES and name not in {**COUNTERPARTS, **CALLBACKS} and not inspect.isroutine(found):
        return ""
    ours = next((COUNTERPARTS[each] for each in names if each in COUNTERPARTS), None)
    if name in CALLBACKS:
        remedy = f"give the trainer the callback {CALLBACKS[name]}"
    elif ours is not None and (kind == "spec") == (ours in _OPTIMIZERS):
        remedy = f"expected a {kind}, such as {ours} of samestep"
    elif ours is not None:
        remedy = f"write Recipe(optimizer={ours})" if ours in _OPTIMIZERS else f"write Recipe(learning_rate={ours})"
    else:
        remedy = _ANY if kind == "spec" else "write a samestep schedule, such as EpochFunction(function)"
    return f"found {library}'s {name}; {remedy}."
