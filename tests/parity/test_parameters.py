"""One network in torch and in Keras: its parameters have the same roles, and rules give them the same multipliers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
import torch
from torch import nn

import samestep.keras
import samestep.lightning
from samestep import SGDW, AdamW, NAdamW, ParameterRule, ParameterTable
from samestep.core.specs.spec import Spec

ROOMS = (samestep.lightning, samestep.keras)
UNITS, HEADS, BLOCKS = 4, 2, 12


class InTorch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, UNITS)
        self.conv = nn.Conv1d(UNITS, UNITS, 3)
        self.batch_norm = nn.BatchNorm1d(UNITS)
        self.gru = nn.GRU(UNITS, UNITS, batch_first=True)
        self.attention = nn.MultiheadAttention(UNITS, HEADS)
        self.layer_norm = nn.LayerNorm(UNITS)
        self.shared = nn.Linear(UNITS, UNITS)
        self.again = self.shared
        self.blocks = nn.ModuleList(nn.Linear(UNITS, UNITS) for _ in range(BLOCKS))
        self.head = nn.ModuleDict({"a": nn.Linear(UNITS, 1), "b": nn.Sequential(nn.Linear(UNITS, 2))})
        self.frozen = nn.Linear(UNITS, UNITS).requires_grad_(False)


class InKeras(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        layers = keras.layers
        self.embed = layers.Embedding(7, UNITS)
        self.conv = layers.Conv1D(UNITS, 3)
        self.batch_norm = layers.BatchNormalization()
        self.gru = layers.GRU(UNITS, return_sequences=True)
        self.attention = layers.MultiHeadAttention(HEADS, UNITS // HEADS)
        self.layer_norm = layers.LayerNormalization()
        self.shared = layers.Dense(UNITS)
        self.again = self.shared
        self.blocks = [layers.Dense(UNITS) for _ in range(BLOCKS)]
        self.head = {"a": layers.Dense(1), "b": keras.Sequential([layers.Dense(2, name="inner")])}
        self.frozen = layers.Dense(UNITS, trainable=False)

    def call(self, inputs: Any) -> Any:
        x = self.batch_norm(self.conv(self.embed(inputs)))
        x = self.gru(x)
        x = self.again(self.shared(self.layer_norm(self.attention(x, x))))
        for block in self.blocks:
            x = block(x)
        x = self.frozen(x)
        return self.head["a"](x) + keras.ops.sum(self.head["b"](x), -1, keepdims=True)


def weight_and_bias(torchs: str, kerass: str = "") -> dict[str, list[str]]:
    kerass = kerass or torchs
    return {f"{torchs}/weight": [f"{kerass}/kernel"], f"{torchs}/bias": [f"{kerass}/bias"]}


def norm(name: str) -> dict[str, list[str]]:
    return {f"{name}/weight": [f"{name}/gamma"], f"{name}/bias": [f"{name}/beta"]}


# torch's path, and those of Keras that hold the same numbers.
NAMES: dict[str, list[str]] = {
    "embed/weight": ["embed/embeddings"],
    **weight_and_bias("conv"),
    **norm("batch_norm"),
    "gru/weight_ih_l0": ["gru/cell/kernel"],
    "gru/weight_hh_l0": ["gru/cell/recurrent_kernel"],
    "gru/bias_ih_l0": ["gru/cell/bias"],
    "gru/bias_hh_l0": ["gru/cell/bias"],
    "attention/in_proj_weight": [f"attention/{part}/kernel" for part in ("query", "key", "value")],
    "attention/in_proj_bias": [f"attention/{part}/bias" for part in ("query", "key", "value")],
    **weight_and_bias("attention/out_proj", "attention/attention_output"),
    **norm("layer_norm"),
    **weight_and_bias("shared"),
    **{t: k for n in range(BLOCKS) for t, k in weight_and_bias(f"blocks/{n}").items()},
    **weight_and_bias("head/a"),
    **weight_and_bias("head/b/0", "head/b/inner"),
}


@pytest.fixture(scope="module")
def networks() -> tuple[nn.Module, keras.Model]:
    in_keras = InKeras()
    in_keras(np.zeros((1, 9), "int32"))
    return InTorch(), in_keras


def tables(spec: Spec, networks: tuple[Any, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    ours, theirs = (
        {row.path: row for row in room.describe_parameters(spec, network)}
        for room, network in zip(ROOMS, networks, strict=True)
    )
    return ours, theirs


def test_the_name_map_has_every_parameter_of_both(networks: Any) -> None:
    in_torch, in_keras = tables(AdamW(), networks)
    assert set(in_torch) == set(NAMES)
    assert set(in_keras) == {name for names in NAMES.values() for name in names}
    for name, theirs in NAMES.items():
        if "gru/bias" not in name:
            assert np.prod(in_torch[name].shape) == sum(np.prod(in_keras[each].shape) for each in theirs), name
    assert in_keras["gru/cell/bias"].shape == (2, 3 * UNITS)
    assert in_keras["attention/query/bias"].shape == (HEADS, UNITS // HEADS)


def test_the_roles_are_the_same(networks: Any) -> None:
    in_torch, in_keras = tables(AdamW(), networks)
    for name, theirs in NAMES.items():
        assert {in_keras[each].role for each in theirs} == {in_torch[name].role}, name
    assert {row.role for row in in_torch.values()} == {"bias", "norm", "embedding", "kernel"}


DEPTHS = ["embed/**", "conv/**", "blocks/*/**", "head/**"]
RULES = {
    "roles": [ParameterRule(role=["bias", "norm"], weight_decay=0), ParameterRule(role="embedding", learning_rate=2)],
    "one role": [ParameterRule(role="norm", weight_decay=0.5, l1_ratio=0.25)],
    "paths": [
        ParameterRule(path="gru/**", learning_rate=3),
        ParameterRule(path="attention/**", weight_decay=2),
        ParameterRule(path="blocks/?/*", weight_decay=0.5),
        ParameterRule(path="head/b/**", l1_ratio=1),
    ],
    "depth": [ParameterRule(depth=DEPTHS, learning_rate=0.75)],
    "together": [
        ParameterRule(path="blocks/11/*", weight_decay=4, learning_rate=8),
        ParameterRule(role=["bias", "norm"], weight_decay=0),
        ParameterRule(role="kernel", depth=DEPTHS, learning_rate=0.5),
        ParameterRule(path="shared/*", role="kernel", learning_rate=0.125),
        ParameterRule(weight_decay=3),
    ],
}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@pytest.mark.parametrize("kind", [AdamW, SGDW])
def test_rules_give_the_same_multipliers(kind: type[Spec], rules: list[ParameterRule], networks: Any) -> None:
    in_torch, in_keras = tables(kind(0.5, 0.25, parameters=rules), networks)
    for name, theirs in NAMES.items():
        for each in theirs:
            # All but path and shape.
            assert in_keras[each][2:] == in_torch[name][2:], name
    if "depth" in str(rules):
        assert in_torch["blocks/10/weight"].learning_rate < in_torch["head/a/weight"].learning_rate


def test_the_same_parameters_are_excluded(networks: Any) -> None:
    in_torch, in_keras = tables(AdamW(0.5, 0.25, parameters=RULES["roles"]), networks)
    excluded = {name for name, row in in_torch.items() if row.weight_decay == 0}
    assert {name for name, row in in_keras.items() if row.weight_decay == 0} == {
        each for name in excluded for each in NAMES[name]
    }
    assert len(excluded) == 24


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@pytest.mark.parametrize("kind", [AdamW, NAdamW, SGDW])
def test_groups_have_the_same_numbers_in_both(kind: type[Spec], rules: list[ParameterRule], networks: Any) -> None:
    spec = kind(0.5, 0.25, parameters=rules)
    in_torch, in_keras = (room.build_optimizer(spec, network) for room, network in zip(ROOMS, networks, strict=True))
    in_keras.build(networks[1].trainable_variables)
    assert in_keras.table.groups == in_torch.multipliers
    assert in_keras.table.base["learning_rate"] == [group["lr"] for group in in_torch.param_groups]
    assert in_keras.table.base["weight_decay"] == [group["weight_decay"] for group in in_torch.param_groups]
    assert len(in_torch.param_groups) > 1


NOTHING = AdamW(parameters=[ParameterRule(path="nowhere/**", weight_decay=0)])
NO_SUCH_DEPTH = AdamW(parameters=[ParameterRule(role="bias", depth=["nowhere/*"], learning_rate=0.5)])


@pytest.mark.parametrize(
    "ask",
    [
        lambda room, model, optimizer: room.describe_parameters(NOTHING, model),
        lambda room, model, optimizer: room.build_optimizer(NOTHING, model),
        lambda room, model, optimizer: room.build_optimizer(NO_SUCH_DEPTH, model),
        lambda room, model, optimizer: room.build_optimizer(AdamW, model),
        lambda room, model, optimizer: room.build_optimizer(ParameterRule(weight_decay=0), model),
        lambda room, model, optimizer: room.extract_weight_decay(model, optimizer),
    ],
)
def test_what_both_can_be_asked_both_refuse_in_the_same_words(ask: Callable[..., Any], networks: Any) -> None:
    optimizers = torch.optim.AdamW(networks[0].parameters()), keras.optimizers.AdamW()
    messages = []
    for room, model, optimizer in zip(ROOMS, networks, optimizers, strict=True):
        with pytest.raises((ValueError, TypeError)) as caught:
            ask(room, model, optimizer)
        message = f"{caught.type.__name__}: {caught.value}"
        messages.append(re.sub(r"the model has .* more:", "the model has these and more:", message))
    assert messages[0] == messages[1]
    assert "found" in messages[0] or re.search(
        r"matches no parameter( by depth='nowhere/\*')?; the model has these and more: correct", messages[0]
    )


def test_the_tables_are_of_the_same_kind(networks: Any, capsys: pytest.CaptureFixture[str]) -> None:
    made = [
        room.describe_parameters(AdamW(parameters=RULES["roles"]), net)
        for room, net in zip(ROOMS, networks, strict=True)
    ]
    for table in made:
        print(table)
    printed = capsys.readouterr().out.splitlines()
    assert all(type(table) is ParameterTable for table in made)
    assert [line.split() for line in printed if line.startswith("path")] == [str(made[0]).splitlines()[0].split()] * 2
    assert [line for line in printed if line.startswith("rule 0")] == [f"rule 0: {RULES['roles'][0]!r}"] * 2
