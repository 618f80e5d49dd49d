"""Rules in Lightning: groups of the optimizer, their numbers in training, and weight decay read from torch's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from samestep import SGDW, AdamW, CosineDecay, LinearDecay, NAdamW, ParameterRule, Recipe, updates
from samestep.core.specs.spec import Spec
from samestep.lightning import (
    EpochGatedDecay,
    HyperparameterScheduler,
    LearningRateScheduler,
    build_optimizer,
    describe_parameters,
)

from .tiny_training import refusal, train

NO_DECAY = ParameterRule(role=["bias", "norm"], weight_decay=0)


class Network(nn.Module):
    """Names as people have them, and an output that shares its weight with the embedding."""

    def __init__(self, sparse: bool = False) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 4, sparse=sparse)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)) for _ in range(2))
        self.head = nn.Linear(4, 5)
        self.head.weight = self.embed.weight
        self.scale = nn.Parameter(torch.ones(()))


PATHS = [
    ("scale", "bias"),
    ("embed/weight", "embedding"),
    ("blocks/0/0/weight", "kernel"),
    ("blocks/0/0/bias", "bias"),
    ("blocks/0/1/weight", "norm"),
    ("blocks/0/1/bias", "norm"),
    ("blocks/1/0/weight", "kernel"),
    ("blocks/1/0/bias", "bias"),
    ("blocks/1/1/weight", "norm"),
    ("blocks/1/1/bias", "norm"),
    ("head/bias", "bias"),
]


def groups(optimizer: torch.optim.Optimizer, model: nn.Module) -> list[tuple[float, float, set[str]]]:
    names = {id(parameter): name.replace(".", "/") for name, parameter in model.named_parameters()}
    return [
        (group["lr"], group["weight_decay"], {names[id(p)] for p in group["params"]})
        for group in optimizer.param_groups
    ]


def test_a_shared_weight_comes_once_by_the_name_and_role_of_its_first_place() -> None:
    rows = describe_parameters(AdamW(), Network())
    assert [(row.path, row.role) for row in rows] == PATHS
    assert rows[1].shape == (5, 4)
    assert rows[0].shape == ()


@pytest.mark.parametrize("kind", [AdamW, NAdamW, SGDW])
def test_parameters_of_the_same_multipliers_are_a_group_and_those_without_any_the_first(kind: type[Spec]) -> None:
    rules = [NO_DECAY, ParameterRule(path="blocks/*/**", depth=["blocks/*/**"], learning_rate=0.5)]
    model = Network()
    optimizer = build_optimizer(kind(0.5, 0.25, parameters=rules), model)
    assert groups(optimizer, model) == [
        (0.5, 0.25, {"embed/weight", "blocks/1/0/weight"}),
        (0.25, 0.0, {f"blocks/0/{name}" for name in ("0/bias", "1/weight", "1/bias")}),
        (0.25, 0.25, {"blocks/0/0/weight"}),
        (0.5, 0.0, {"scale", "head/bias", *(f"blocks/1/{name}" for name in ("0/bias", "1/weight", "1/bias"))}),
    ]


def test_what_is_described_is_what_is_built(capsys: pytest.CaptureFixture[str]) -> None:
    spec = AdamW(0.5, 0.25, parameters=[NO_DECAY, ParameterRule(role="embedding", learning_rate=2, l1_ratio=0.5)])
    model = Network()
    rows = describe_parameters(spec, model)
    assert capsys.readouterr().out == "", "whoever prints it has it once"
    assert repr(rows) == str(rows)
    assert str(rows).splitlines()[2] == "embed/weight       5 x 4   embedding  1     1              0.25          0.5"
    built = {path: (lr, decay) for lr, decay, paths in groups(build_optimizer(spec, model), model) for path in paths}
    assert {row.path: (row.learning_rate, row.weight_decay) for row in rows} == built


def test_frozen_parameters_are_in_no_row_and_no_group_and_a_rule_may_name_them() -> None:
    model = Network()
    model.blocks[0].requires_grad_(False)
    rows = describe_parameters(AdamW(parameters=[NO_DECAY]), model)
    assert [row.path for row in rows] == [path for path, _ in PATHS if not path.startswith("blocks/0")]
    built = groups(build_optimizer(AdamW(parameters=[NO_DECAY]), model), model)
    assert set.union(*(paths for *_, paths in built)) == {row.path for row in rows}
    for function in (describe_parameters, build_optimizer):
        function(AdamW(parameters=[ParameterRule(path="blocks/0/**", weight_decay=0)]), model)
        with pytest.raises(ValueError, match=r"^ParameterRule\(path='blocks/2/\*\*', .* matches no parameter; the mo"):
            function(AdamW(parameters=[ParameterRule(path="blocks/2/**", weight_decay=0)]), model)


def test_a_sparse_embedding_gets_no_fused_kernel_and_trains() -> None:
    assert build_optimizer(AdamW(), Network()).param_groups[0]["fused"] is True
    model = Network(sparse=True)
    assert not build_optimizer(AdamW(), model).param_groups[0]["fused"]
    for spec in (SGDW(0.5, 0.25, parameters=[NO_DECAY]), SGDW(0.5, 0.25, 0.5)):
        model = Network(sparse=True)
        before = model.embed.weight.detach().clone()
        model.embed(torch.tensor([1])).sum().backward()
        assert model.embed.weight.grad is not None
        assert model.embed.weight.grad.is_sparse
        build_optimizer(spec, model).step()
        expected = before * (1 - 0.125)
        expected[1] -= 0.5
        assert torch.equal(model.embed.weight, expected)


@pytest.mark.parametrize("kind", [AdamW, NAdamW, SGDW])
@pytest.mark.parametrize("basis", ["learning_rate", "schedule", "update"])
def test_with_zero_gradients_an_excluded_parameter_stays_and_others_shrink_as_their_rules_say(
    kind: type[Spec], basis: Any
) -> None:
    decayed = ParameterRule(role="kernel", learning_rate=0.5, weight_decay=2)
    spec = kind(0.5, 0.25, weight_decay_basis=basis, parameters=[NO_DECAY, decayed])
    model = Network()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = build_optimizer(spec, model)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    shrink = {"learning_rate": (0.125, 0.125), "schedule": (0.25, 0.5), "update": (0.25, 0.5)}[basis]
    for (path, role), (name, parameter) in zip(PATHS, model.named_parameters(), strict=True):
        assert name.replace(".", "/") == path
        off = 0.0 if role in ("bias", "norm") else shrink[role == "kernel"]
        assert torch.equal(parameter, before[name] * (1 - off)), name


RULES = [ParameterRule(path="weights/1", learning_rate=2, weight_decay=0)]
SPEC = SGDW(2**-4, 2**-3, parameters=RULES)
LINE = [1 - n / 8 for n in range(6)]


@pytest.mark.parametrize(
    ("callback", "etas"),
    [
        (HyperparameterScheduler(Recipe(SPEC, learning_rate=LinearDecay(over=updates(8)))), LINE),
        (EpochGatedDecay(0.5, start_epoch=1), [1, 1, 0.5, 0.5, 0.25, 0.25]),
        (LearningRateScheduler(lambda epoch, lr: lr * 0.5 if epoch else lr), [1, 1, 0.5, 0.5, 0.25, 0.25]),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_schedules_keep_the_ratios_of_the_groups(callback: Any, etas: list[float]) -> None:
    run = train(lambda m: build_optimizer(SPEC, m), callback, weights=2, batches=2)
    assert run.trace.column("learning_rate") == [2**-4 * eta for eta in etas]
    assert run.trace.column("learning_rate/1") == [2**-3 * eta for eta in etas]
    assert run.trace.column("weight_decay/1") == [0.0] * 6
    # From 0 the decay takes nothing: what is left is the learning rate of each weight's own.
    assert run.learning_rates(0) == [2**-4 * eta for eta in etas]
    assert run.learning_rates(1) == [2**-3 * eta for eta in etas]
    kept = train(lambda m: build_optimizer(SPEC, m), callback, weights=2, batches=2, gradient=0.0)
    assert kept.kept(0) == [1 - 2**-7 * eta for eta in etas]
    assert kept.kept(1) == [1.0] * 6


def test_a_function_of_the_epoch_alone_is_refused_for_several_learning_rates() -> None:
    message = refusal(lambda m: build_optimizer(SPEC, m), LearningRateScheduler(lambda epoch: 0.5))
    assert "groups with the learning rates [0.0625, 0.125] and a function of the epoch alone" in message


def test_a_clipping_spec_beside_the_trainers_own_clipping_is_refused() -> None:
    spec = AdamW(clipnorm=1.0)
    for callback in (HyperparameterScheduler(Recipe(spec)), EpochGatedDecay(0.5, start_epoch=1)):
        message = refusal(lambda m: build_optimizer(spec, m), callback, gradient_clip_val=0.5)
        assert "found gradient_clip_val=0.5 in the Trainer and an optimizer that already clips; remove one" in message


def test_a_spec_with_other_rules_is_another_spec() -> None:
    recipe = Recipe(SGDW(2**-4, 2**-3, parameters=[NO_DECAY]), learning_rate=CosineDecay(over=updates(9)))
    message = refusal(lambda m: build_optimizer(SPEC, m), HyperparameterScheduler(recipe))
    assert f"parameters is {tuple(RULES)!r} and not {(NO_DECAY,)!r}" in message
