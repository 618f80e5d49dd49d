"""Mistakes that people make, and what each is told. Those of arguments' names are in test_aliases."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import keras
import optax
import pytest
import torch

import samestep
from samestep import (
    SGDW,
    AdamW,
    Constant,
    CosineDecay,
    EpochFunction,
    LinearDecay,
    MultiStepDecay,
    Parameter,
    ParameterRule,
    Recipe,
    Schedule,
    Spec,
    StepDecay,
    Table,
    Warmup,
    epochs,
    one_cycle,
    sequence,
)
from samestep.core.callbacks import EpochGatedDecay, HyperparameterScheduler, LearningRateScheduler, ReduceOnPlateau
from samestep.core.specs.parameter_rules import assign

STEPS = StepDecay(0.1, "5 epochs")
RECIPE = Recipe(AdamW(), STEPS)
TORCHS = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
BERT = [
    Parameter(path, (2, 2), "kernel")
    for path in ("bert/embeddings/word", "bert/layer/0/weight", "bert/layer/1/weight", "head/weight")
]


def rules(*given: ParameterRule) -> Callable[[], Any]:
    return lambda: assign(given, 0.0, BERT)


def scheduler(kind: str, **arguments: Any) -> Any:
    return getattr(torch.optim.lr_scheduler, kind)(TORCHS, **arguments)


def importing(statement: str) -> Callable[[], Any]:
    return lambda: exec(statement, {})


MISTAKES: list[tuple[Callable[[], Any], str]] = [
    # A recipe of something else.
    (lambda: Recipe(AdamW), "Recipe.optimizer: found the class AdamW; expected a spec, such as AdamW"),
    (
        lambda: Recipe(AdamW(), StepDecay),
        "Recipe.learning_rate: found the class StepDecay; expected a schedule, such as S",
    ),
    (
        lambda: Recipe(STEPS),
        f"Recipe.optimizer: found {STEPS!r} (StepDecay); expected a spec: write learning_rate= bef",
    ),
    (
        lambda: Recipe(learning_rate=AdamW()),
        f"Recipe.learning_rate: found {AdamW()!r} (AdamW); expected a schedule: wr",
    ),
    (lambda: Recipe(AdamW(), 0.1), "Recipe.learning_rate: found 0.1 (float); expected a schedule, such as StepDecay(0"),
    (lambda: Recipe("AdamW"), "Recipe.optimizer: found 'AdamW' (str); expected a spec, such as AdamW(...)."),
    (lambda: Recipe("sgd"), "Recipe.optimizer: found 'sgd' (str); expected a spec, such as SGDW(...)."),
    (lambda: Recipe(learning_rate="cosine"), "Recipe.learning_rate: found 'cosine' (str); expected a schedule, such a"),
    (lambda: Recipe(learning_rate=len), "Recipe.learning_rate: found the function len; write EpochFunction(len)."),
    (lambda: Recipe(AdamW().to_dict()), "Recipe.optimizer: found {'amsgrad': False, "),
    (lambda: Recipe(learning_rate=[STEPS]), f"Recipe.learning_rate: found [{STEPS!r}] (list); expected a schedule, s"),
    # Other libraries' objects.
    (lambda: Recipe(TORCHS), "Recipe.optimizer: found torch's SGD; expected a spec, such as SGDW(...) of "),
    (
        lambda: Recipe(torch.optim.AdamW),
        "Recipe.optimizer: found torch's AdamW; expected a spec, such as AdamW(...) of ",
    ),
    (
        lambda: Recipe(torch.optim.Adagrad),
        "Recipe.optimizer: found torch's Adagrad; expected a spec, such as AdamW(...), or none: ",
    ),
    (lambda: Recipe(AdamW(), TORCHS), "Recipe.learning_rate: found torch's SGD; write Recipe(optimizer=SGDW(...))."),
    (
        lambda: Recipe(AdamW(), scheduler("StepLR", step_size=3)),
        "Recipe.learning_rate: found torch's StepLR; expected a schedule, such as ",
    ),
    (
        lambda: Recipe(AdamW(), scheduler("CosineAnnealingLR", T_max=3)),
        "Recipe.learning_rate: found torch's CosineAnnealingLR; expected a schedule, such as ",
    ),
    (
        lambda: Recipe(scheduler("OneCycleLR", max_lr=0.1, total_steps=10)),
        "Recipe.optimizer: found torch's OneCycleLR; write Recipe(learning_rate=one_cycle(over, peak=...)).",
    ),
    (
        lambda: Recipe(AdamW(), scheduler("ReduceLROnPlateau")),
        "Recipe.learning_rate: found torch's ReduceLROnPlateau; give the trainer the callback ReduceOnPlateau.",
    ),
    (
        lambda: Recipe(AdamW(), keras.optimizers.schedules.CosineDecay(0.1, 100)),
        "Recipe.learning_rate: found keras's CosineDecay; expected a schedule, such as ",
    ),
    (
        lambda: Recipe(AdamW(), keras.optimizers.schedules.PiecewiseConstantDecay([1], [1.0, 0.5])),
        "Recipe.learning_rate: found keras's PiecewiseConstantDecay; expected a schedule, such as ",
    ),
    (
        lambda: Recipe(keras.optimizers.Nadam()),
        "Recipe.optimizer: found keras's Nadam; expected a spec, such as NAdamW(...) of ",
    ),
    (
        lambda: Warmup("1 epoch").until("2 epochs") and sequence(keras.optimizers.schedules.CosineDecay(0.1, 100)),
        "Sequence.first: found keras's CosineDecay; expected a schedule, such as ",
    ),
    (
        lambda: Recipe(AdamW(), optax.adamw),
        "Recipe.learning_rate: found optax's adamw; write a samestep schedule, such",
    ),
    # The callbacks.
    (
        lambda: HyperparameterScheduler(RECIPE.to_dict()),
        "HyperparameterScheduler: found {'learning_rate': {'every': ",
    ),
    (
        lambda: HyperparameterScheduler(Recipe),
        "HyperparameterScheduler: found the class Recipe; expected a Recipe: write Hyp",
    ),
    (
        lambda: HyperparameterScheduler(AdamW()),
        "HyperparameterScheduler: found AdamW(",
    ),
    (
        lambda: HyperparameterScheduler(STEPS),
        "HyperparameterScheduler: found StepDecay(",
    ),
    (lambda: HyperparameterScheduler(RECIPE.plan(3, 4)), "HyperparameterScheduler: found Plan("),
    (lambda: HyperparameterScheduler([RECIPE]), "HyperparameterScheduler: found ["),
    (
        lambda: EpochGatedDecay(0.1, 5),
        "EpochGatedDecay: found 2 arguments by position; write the last by name: start_e",
    ),
    (
        lambda: LearningRateScheduler(STEPS),
        f"LearningRateScheduler: found {STEPS!r}; expected a function f(",
    ),
    (lambda: LearningRateScheduler(0.1), "LearningRateScheduler: found 0.1 (float); expected a function f(epoch) or "),
    (lambda: EpochFunction(STEPS), f"found {STEPS!r}; "),
    (
        lambda: ReduceOnPlateau(10),
        "ReduceOnPlateau: found monitor=10; write the name of a metric, such as monitor='val",
    ),
    # Schedules.
    (
        lambda: Warmup("1 epoch") + CosineDecay("9 epochs"),
        "found Warmup and CosineDecay added or subtracted; write fir",
    ),
    (lambda: 1 - Warmup("1 epoch"), "found Warmup and int added or subtracted; write first * second to multiply"),
    (lambda: sum([STEPS]), "found StepDecay and int added or subtracted; write first * second to multiply"),
    (lambda: STEPS / 2, "found StepDecay and 2 divided; write schedule * 0.5 to halve it."),
    (lambda: STEPS**2, "found StepDecay and 2 divided"),
    (lambda: CosineDecay("9 epochs")(5), "found CosineDecay called as a function; write schedule.preview(epochs=10)"),
    (
        lambda: sequence([STEPS, STEPS]),
        "sequence: found a list; write sequence(first, (epochs(5), second)): each but t",
    ),
    (
        lambda: sequence(STEPS, STEPS),
        f"sequence: found {STEPS!r}; expected pairs of a duration and a schedule, such as",
    ),
    (lambda: sequence(STEPS, (STEPS, "1 epoch")), f"sequence: found ({STEPS!r}, '1 epoch'); expected pairs of a durat"),
    (lambda: one_cycle(peak=0.3), "one_cycle: peak: found the bare number 0.3; expected a duration: write epochs(5), "),
    (lambda: Warmup(0.05), "Warmup.over: found the bare number 0.05; expected a duration: "),
    (
        lambda: Warmup("500 steps"),
        "Warmup.over: found '500 steps', which has no known unit; expected a duration: write epochs(500)",
    ),
    (
        lambda: StepDecay(0.1, 30),
        "StepDecay.every: found the bare number 30; expected a duration: write epochs(30), up",
    ),
    (lambda: MultiStepDecay(0.1, at=30), "MultiStepDecay.at: found 30 (int); expected a list."),
    (lambda: MultiStepDecay(0.1, at=[30]), "MultiStepDecay.at: found the bare number 30; expected a duration: write "),
    (lambda: Table("1 epoch", [1]), "Table.values: found '1 epoch' (str); expected a list."),
    (lambda: LinearDecay("5 epochs", "0"), "LinearDecay.start: found '0' (str); expected a number."),
    (lambda: epochs("5 epochs"), "epochs: found '5 epochs'; expected a finite number of at least 0, such as 5"),
    # Data.
    (lambda: Spec.from_dict({"type": "AdamW", "lr": 1}), "AdamW: found lr=1; write learning_rate=1."),
    (lambda: Spec.from_dict({"type": "Adam"}), "found the spec type 'Adam'; write 'AdamW'."),
    (lambda: Schedule.from_dict({"type": "StepDcay"}), "found the schedule type 'StepDcay'; write 'StepDecay'."),
    (lambda: Schedule.from_dict({"type": "StepDecay", "factor": 1}), "StepDecay: found no every; give every=."),
    (lambda: Recipe.from_dict({"optmizer": {}}), "Recipe: found optmizer={}; write optimizer={}."),
    (lambda: Recipe.from_dict(RECIPE), f"Recipe: found {RECIPE!r}; expected a dictionary, as written by to_dict()."),
    # Plans.
    (lambda: RECIPE.plan(3, 4).value("lr", 0), "found the hyperparameter 'lr'; expected one of learning_rate, weight_"),
    (
        lambda: RECIPE.plan("3", 4),
        "updates_per_epoch: found '3'; expected a whole number of at least 1, or None if it ",
    ),
    (
        lambda: RECIPE.plan(3.0, 4),
        "updates_per_epoch: found 3.0; expected a whole number of at least 1, or None if it ",
    ),
    (lambda: RECIPE.plan(3, 4).diff(RECIPE), f"diff: found {RECIPE!r} (Recipe); expected a Plan, as recipe.plan(...) "),
    # Rules.
    (
        lambda: ParameterRule("weight", weight_decay=0),
        "ParameterRule.role: found ('weight',); expected some of 'bias', ",
    ),
    (
        lambda: ParameterRule(role="bias"),
        "found ParameterRule(role=('bias',)), which sets nothing; give learning_rate=",
    ),
    (
        lambda: AdamW(parameters=ParameterRule(role="bias", weight_decay=0)),
        "AdamW.parameters: found ParameterRule(role=('bias',), weight_decay=0.0) (ParameterRule); expected a list: wr",
    ),
    (
        lambda: AdamW(parameters=[{"role": "bias", "weight_decay": 0}]),
        "AdamW.parameters: found {'role': 'bias', 'weight_decay': 0} (dict); expected a rule, such as Param",
    ),
    (
        rules(ParameterRule(depth=["embeddings/**", "layer/*/**", "head/**"], learning_rate=0.5)),
        "ParameterRule(depth=('embeddings/**', 'layer/*/**', 'head/**'), learning_rate=0.5) matches no parameter by "
        "depth='embeddings/**', depth='layer/*/**'; the model has 'bert/embeddings/word', ",
    ),
    (
        rules(ParameterRule(path="bert/hed/**", weight_decay=0)),
        "ParameterRule(path='bert/hed/**', weight_decay=0.0) mat",
    ),
    (
        rules(ParameterRule(role="norm", path="bert/**", weight_decay=0)),
        "ParameterRule(role=('norm',), path='bert/**', weight_decay=0.0) matches no parameter by role='norm'; the mod",
    ),
    # Names.
    (
        importing("from samestep import HyperparameterScheduler"),
        "samestep: found no HyperparameterScheduler; write fro",
    ),
    (importing("from samestep import build_optimizer"), "samestep: found no build_optimizer; write from samestep.lig"),
    (
        importing("from samestep import ReduceLROnPlateau"),
        "samestep: found no ReduceLROnPlateau; write from samestep.l",
    ),
    (importing("from samestep import StepLR"), "samestep: found no StepLR; write samestep's StepDecay(factor, every="),
    (importing("from samestep import Adam"), "samestep: found no Adam; write samestep's AdamW(...)."),
    (importing("from samestep import CosineDcay"), "samestep: found no CosineDcay; write from samestep import CosineD"),
    (importing("from samestep.lightning import AdamW"), "samestep.lightning: found no AdamW; import schedules, specs "),
    (importing("from samestep.keras import StepLR"), "samestep.keras: found no StepLR; import schedules, specs and"),
    (importing("from samestep.keras import ReduceLROnPlateau"), "samestep.keras: found no ReduceLROnPlateau; write fr"),
]


@pytest.mark.parametrize(("mistake", "message"), MISTAKES, ids=[message[:60] for _, message in MISTAKES])
def test_a_mistake_is_told_in_one_line_what_to_write(mistake: Callable[[], Any], message: str) -> None:
    with pytest.raises((AttributeError, ImportError, TypeError, ValueError)) as error:
        mistake()
    found = str(error.value)
    assert found.startswith(message)
    assert "\n" not in found
    assert re.search(r"; .*(write|expected|give|leave|import|the model has)", found)
    assert not re.search(r"Mixin|ABCMeta|object at 0x|samestep\.core", found)


def test_the_parts_of_an_optional_rule_may_match_nothing() -> None:
    rule = ParameterRule(depth=["embeddings/**", "bert/layer/*/**", "head/**"], learning_rate=0.5, optional=True)
    assert [each.multipliers.learning_rate for each in assign([rule], 0.0, BERT)] == [1.0, 0.25, 0.5, 1.0]
    assert assign([ParameterRule(role=["kernel", "norm"], weight_decay=0)], 0.0, BERT)[0].multipliers.weight_decay == 0


def test_a_missing_name_is_no_attribute() -> None:
    import samestep.keras
    import samestep.lightning
    from samestep.core.arguments.missing_names import IN_BOTH

    assert not hasattr(samestep, "StepLR")
    assert not hasattr(samestep.lightning, "AdamW")
    with pytest.raises(ImportError, match=r"^cannot import name .nonsense."):
        importing("from samestep import nonsense")()
    assert list(IN_BOTH) == samestep.keras.__all__ == samestep.lightning.__all__


def test_a_repr_has_the_numbers_and_nothing_that_is_left_alone() -> None:
    assert repr(AdamW(1e-3, 0.1)) == "AdamW(learning_rate=0.001, weight_decay=0.1)"
    assert repr(SGDW()) == "SGDW(learning_rate=0.01, weight_decay=0.0)"
    assert repr(Recipe(learning_rate=STEPS)) == f"Recipe(learning_rate={STEPS!r})"
    assert (
        repr(Recipe(AdamW(), momentum=Constant(0.5))) == f"Recipe(optimizer={AdamW()!r}, momentum=Constant(value=0.5))"
    )
    for recipe in (RECIPE, Recipe(learning_rate=STEPS), Recipe(SGDW(momentum=0.5), weight_decay=STEPS)):
        assert eval(repr(recipe), vars(samestep)) == recipe
