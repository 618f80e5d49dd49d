"""An argument under another library's name, or a misspelt one: the error says what to write."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

import samestep
from samestep import (
    SGDW,
    AdamW,
    Clock,
    Constant,
    CosineDecay,
    ExponentialDecay,
    InverseSqrtDecay,
    LinearDecay,
    MultiStepDecay,
    NAdamW,
    ParameterRule,
    Recipe,
    Schedule,
    StepDecay,
    Triangular,
    Warmup,
    epochs,
    noam,
    one_cycle,
    warmup_stable_decay,
)
from samestep.core import callbacks
from samestep.core.arguments.aliases import ALIASES
from samestep.core.arguments.check import ChecksArguments
from samestep.core.callbacks import EpochGatedDecay, HyperparameterScheduler, ReduceOnPlateau

SPEC = "set it in the optimizer's spec, as in AdamW"
BASE = "set the base value in the optimizer's spec, as in AdamW(learning_rate=...)"
MULTIPLIER = "(a multiplier of the base value)"

WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: AdamW(lr=1e-3), "AdamW: found lr=0.001; write learning_rate=0.001."),
    (lambda: NAdamW(eps=1e-6), "NAdamW: found eps=1e-06; write epsilon=1e-06."),
    (lambda: AdamW(lr=1e-3, wd=0.1), "AdamW: found lr=0.001, wd=0.1; write learning_rate=0.001, weight_decay=0.1."),
    (lambda: AdamW(beta_1=0.8), "AdamW: found beta_1=0.8; write betas=(0.8, 0.999)."),
    (lambda: AdamW(beta2=0.99), "AdamW: found beta2=0.99; write betas=(0.9, 0.99)."),
    (lambda: AdamW(beta_1=0.8, beta_2=0.99), "AdamW: found beta_1=0.8, beta_2=0.99; write betas=(0.8, 0.99)."),
    (lambda: AdamW(momentum=0.8, b2=0.99), "AdamW: found momentum=0.8, b2=0.99; write betas=(0.8, 0.99)."),
    (lambda: AdamW(eta=0.1), "AdamW: found eta=0.1; write learning_rate=0.1."),
    (lambda: NAdamW(schedule_decay=0.1), "NAdamW: found schedule_decay=0.1; write momentum_decay=0.1."),
    (lambda: AdamW(lr=1, learning_rate=2), "AdamW: found lr=1; leave lr= out beside learning_rate=."),
    (lambda: AdamW(1e-3, lr=2), "AdamW: found lr=2; leave lr= out beside learning_rate=."),
    (lambda: AdamW(momentum=0.8), "AdamW: found momentum=0.8; write betas=(0.8, 0.999)."),
    (lambda: AdamW(nesterov=True), "AdamW: found nesterov=True; for Nesterov momentum write NAdamW."),
    (lambda: AdamW(weigth_decay=0.1), "AdamW: found weigth_decay=0.1; write weight_decay=0.1."),
    (lambda: AdamW(max_grad_norm=1), "AdamW: found max_grad_norm=1; write global_clipnorm=1."),
    (lambda: AdamW(no_decay=["bias"]), "AdamW: found no_decay=['bias']; write parameters=[ParameterRule(...)]."),
    (lambda: SGDW(dampening=0), "SGDW: found dampening=0; leave it out: there is none."),
    (
        lambda: SGDW(foo=1),
        "SGDW: found foo=1; expected some of learning_rate, weight_decay, momentum, nesterov, weight_decay_basis, "
        "l1_ratio, parameters, global_clipnorm, clipnorm, clipvalue, maximize, momentum_mode.",
    ),
    (lambda: StepDecay(gamma=0.1, every="1 epoch"), "StepDecay: found gamma=0.1; write factor=0.1."),
    (lambda: StepDecay(0.1, step_size=30), "StepDecay: found step_size=30; write every='30 epochs' or '30 updates'."),
    (lambda: MultiStepDecay(0.1, milestones=[3]), "MultiStepDecay: found milestones=[3]; write at=[3]."),
    (lambda: CosineDecay(T_max=50), "CosineDecay: found T_max=50; write over='50 epochs' or '50 updates'."),
    (lambda: CosineDecay(decay_steps=50), "CosineDecay: found decay_steps=50; write over='50 updates'."),
    (lambda: CosineDecay("1 epoch", eta_min=0), f"CosineDecay: found eta_min=0; write end= {MULTIPLIER}."),
    (lambda: CosineDecay("1 epoch", alpha=0.1), f"CosineDecay: found alpha=0.1; write end= {MULTIPLIER}."),
    (
        lambda: CosineDecay("1 epoch", last_epoch=-1),
        "CosineDecay: found last_epoch=-1; leave it out: a run resumed from a checkpoint continues at its position by "
        "itself.",
    ),
    (
        lambda: CosineDecay("1 epoch", warmup_steps=9),
        "CosineDecay: found warmup_steps=9; multiply the schedule by Warmup('500 updates').",
    ),
    (
        lambda: ExponentialDecay(decay_rate=0.9, decay_steps=100, staircase=True),
        "ExponentialDecay: found decay_rate=0.9, decay_steps=100, staircase=True; write factor=0.9, every='100 "
        "updates', and for a staircase write StepDecay.",
    ),
    (
        lambda: StepDecay(0.1, "1 epoch", initial_learning_rate=0.1),
        "StepDecay: found initial_learning_rate=0.1; set it in the optimizer's spec, as in AdamW(learning_rate=...).",
    ),
    (
        lambda: StepDecay(0.1, "1 epoch", learning_rate=1),
        "StepDecay: found learning_rate=1; set it in a recipe, as in ",
    ),
    (lambda: LinearDecay(total_iters=4), "LinearDecay: found total_iters=4; write over='4 updates'."),
    (lambda: Warmup(num_warmup_steps=500), "Warmup: found num_warmup_steps=500; write over='500 updates'."),
    (lambda: Warmup(warmup_ratio=0.06), "Warmup: found warmup_ratio=0.06; write over='6%'."),
    (lambda: InverseSqrtDecay(warmup_steps=5), "InverseSqrtDecay: found warmup_steps=5; write timescale='5 updates'."),
    (lambda: Triangular(step_size_up=20), "Triangular: found step_size_up=20; write up='20 epochs' or '20 updates'."),
    (lambda: Constant(scale=2), "Constant: found scale=2; write value=2."),
    (lambda: one_cycle(pct_start=0.3), "one_cycle: found pct_start=0.3; write peak='30%'."),
    (lambda: one_cycle(max_lr=0.1), f"one_cycle: found max_lr=0.1; {BASE}."),
    (lambda: one_cycle(div_factor=25), "one_cycle: found div_factor=25; write start=1 / 25."),
    (lambda: one_cycle(anneal_strategy="linear"), "one_cycle: found anneal_strategy='linear'; write anneal='linear'."),
    (lambda: one_cycle(cycle_momentum=True), "one_cycle: found cycle_momentum=True; give the momentum a schedule of "),
    (lambda: noam(warmup_steps=4000), "noam: found warmup_steps=4000; write warmup='4000 updates'."),
    (
        lambda: warmup_stable_decay(num_warmup_steps=5, num_decay_steps=5),
        "warmup_stable_decay: found num_warmup_steps=5, num_decay_steps=5; write warmup='5 updates', cooldown='5 upda",
    ),
    (
        lambda: Constant().repeat(T_0=10, T_mult=2),
        "Schedule.repeat: found T_0=10, T_mult=2; write every='10 epochs' or '10 updates', growth=2.",
    ),
    (lambda: Constant().at_least(min_lr=1e-5), "Schedule.at_least: found min_lr=1e-05; write .at_least(multiplier) "),
    (lambda: Constant().preview(num_epochs=3), "Schedule.preview: found num_epochs=3; write epochs=3."),
    (lambda: ParameterRule(pattern="a/*", lr_mult=2), "ParameterRule: found pattern='a/*', lr_mult=2; write path= (a "),
    # A parameter group's values, which are no multipliers.
    (lambda: ParameterRule(lr=1e-4), f"ParameterRule: found lr=0.0001; write learning_rate= {MULTIPLIER}."),
    (lambda: ParameterRule(wd=0.01), f"ParameterRule: found wd=0.01; write weight_decay= {MULTIPLIER}."),
    (lambda: ParameterRule(name="a/*", learning_rate=2), "ParameterRule: found name='a/*'; write path= (a pattern of "),
    (lambda: ParameterRule(params="a/*", learning_rate=2), "ParameterRule: found params='a/*'; write path= (a pattern"),
    (
        lambda: ParameterRule(depth=["a"], layer_decay=0.75),
        "ParameterRule: found layer_decay=0.75; write learning_rate=0.75 (the factor from one depth to the next).",
    ),
    (lambda: Recipe(AdamW(), lr=1e-3), f"Recipe: found lr=0.001; {SPEC}(learning_rate=...)."),
    (
        lambda: one_cycle(epochs=10, steps_per_epoch=9),
        "one_cycle: found epochs=10, steps_per_epoch=9; write over='10 epochs', and leave it out: the callback knows, ",
    ),
    (lambda: Recipe(lr=StepDecay(0.1, "1 epoch")), "Recipe: found lr=StepDecay(factor=0.1, every=epochs(1)); write le"),
    (lambda: Recipe(scheduler=Constant()), "Recipe: found scheduler=Constant(); write learning_rate=Constant()."),
    (lambda: Recipe(betas=(0.9, 0.9)), f"Recipe: found betas=(0.9, 0.9); {SPEC}(betas=...)."),
    (
        lambda: Recipe(AdamW()).plan(steps_per_epoch=3, max_epochs=4, max_steps=12),
        "Recipe.plan: found steps_per_epoch=3, max_epochs=4, max_steps=12; write updates_per_epoch=3, epochs=4, max_up",
    ),
    (lambda: Clock(steps_per_epoch=3), "Clock: found steps_per_epoch=3; write updates_per_epoch=3."),
    (lambda: EpochGatedDecay(0.1, start=5), "EpochGatedDecay: found start=5; write start_epoch=5."),
    (lambda: EpochGatedDecay(0.1, 5), "EpochGatedDecay: found 2 arguments by position; write the last by name: start_"),
    (lambda: EpochGatedDecay(gamma=0.1, start_epoch=1), "EpochGatedDecay: found gamma=0.1; write factor=0.1."),
    (lambda: EpochGatedDecay(0.1), "EpochGatedDecay: found no start_epoch; give start_epoch=."),
    (
        lambda: EpochGatedDecay(0.1, start_epoch=1, step_size=2, min_lr=1e-6),
        "EpochGatedDecay: found step_size=2, min_lr=1e-06; write every_epochs=2, floor=1e-06.",
    ),
    (lambda: ReduceOnPlateau(min_lr=1e-6), "ReduceOnPlateau: found min_lr=1e-06; write floor=1e-06."),
    (lambda: ReduceOnPlateau(min_delta=0.1), "ReduceOnPlateau: found min_delta=0.1; write threshold=0.1 (with thresh"),
    (lambda: HyperparameterScheduler(schedule=Constant()), "HyperparameterScheduler: found schedule=Constant(); write"),
    (lambda: StepDecay(0.1, "1 epoch", factor=3), "StepDecay: found factor by position and by name; write factor= on"),
    (lambda: StepDecay(0.1), "StepDecay: found no every; give every=."),
    (lambda: epochs(n=3), "epochs: found n=3; expected some of amount."),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG, ids=[message[:60] for _, message in WRONG])
def test_an_argument_of_another_name_is_told_what_it_is_called_here(wrong: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError) as error:
        wrong()
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


CHECKED = [
    each
    for each in (getattr(samestep, name) for name in samestep.__all__)
    if inspect.isfunction(each) or (inspect.isclass(each) and issubclass(each, ChecksArguments))
    if not inspect.isabstract(each)
]


def taken(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters) - {"args", "kwargs"}


@pytest.mark.parametrize(
    "function", [*CHECKED, *(getattr(callbacks, name) for name in callbacks.__all__)], ids=lambda each: each.__name__
)
def test_whatever_the_table_says_to_write_is_an_argument(function: Any) -> None:
    for name in {name for name in ALIASES if "." not in name} - taken(function):
        with pytest.raises(TypeError) as error:
            function(**{name: 7})
        message = str(error.value)
        assert message.startswith(f"{function.__name__}: found {name}=7; "), message
        assert message.endswith(".")
        assert "\n" not in message
        if "; write " in message and "=" in message.partition("; write ")[2]:
            written = message.partition("; write ")[2].partition("=")[0]
            assert written in taken(function) or not written.isidentifier(), message


@dataclass(frozen=True, repr=False)
class Wave(Schedule):
    """A user's shape, whose own names are no aliases."""

    lr: float
    gamma: float = 1.0

    def curve(self, ticks: Any) -> Any:
        return lambda t: self.lr


def test_a_shape_of_one_s_own_has_whatever_names_it_likes() -> None:
    assert Wave(lr=2.0, gamma=0.5).preview(1) == [2.0]
    with pytest.raises(TypeError, match=r"^Wave: found gama=2; write gamma=2\.$"):
        Wave(1.0, gama=2)  # type: ignore[call-arg]


class Patient(ReduceOnPlateau):
    def __init__(self, patience: int = 3, **others: Any) -> None:
        super().__init__("loss", patience=patience, **others)


def test_a_subclass_of_a_callback_has_a_constructor_of_its_own() -> None:
    assert Patient(7).plateau.patience == 7
    assert Patient(factor=0.5).plateau.factor == 0.5
    with pytest.raises(TypeError, match=r"found 2 arguments; expected patience\.$"):
        Patient(7, 8)  # type: ignore[call-arg]


def test_a_signature_stays_what_it_was_and_values_are_copied_and_pickled() -> None:
    assert [*inspect.signature(StepDecay).parameters] == ["factor", "every", "first"]
    assert [*inspect.signature(one_cycle).parameters][:2] == ["over", "peak"]
    assert [*inspect.signature(ReduceOnPlateau.like_torch).parameters][:2] == ["monitor", "mode"]
    recipe = Recipe(AdamW(), StepDecay(0.1, "1 epoch"))
    for again in (pickle.loads(pickle.dumps(recipe)), copy.deepcopy(recipe), replace(recipe)):
        assert again == recipe
    assert pickle.loads(pickle.dumps(one_cycle)) is one_cycle


def test_an_error_from_inside_a_function_is_its_own() -> None:
    with pytest.raises(TypeError, match=r"^one_cycle: over: found the bare number 5"):
        one_cycle(5)  # type: ignore[arg-type]
