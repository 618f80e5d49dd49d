"""The parameter groups that detectron2 and timm make, written as rules: the same numbers in torch and in Keras."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
import torch
from torch import nn

import samestep.keras
import samestep.lightning
from samestep import SGDW, AdamW, ParameterRule
from samestep.core.specs.spec import Spec

WIDTH, BLOCKS = 4, 3
LAYERS = [f"blocks/{n}/{name}" for n in range(BLOCKS) for name in ("norm1", "mlp")]


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.mlp = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH)


class InTorch(nn.Module):
    """A vision transformer's parameters, as timm names them."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.pos_embed = nn.Parameter(torch.zeros(1, 5, WIDTH))
        self.patch_embed = nn.Linear(WIDTH, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 1)


class BlockInKeras(keras.layers.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.mlp = keras.layers.LayerNormalization(), keras.layers.Dense(WIDTH)

    def call(self, x: Any) -> Any:
        return self.mlp(self.norm1(x))


class InKeras(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.cls_token = self.add_weight(shape=(1, 1, WIDTH), name="cls_token")
        self.pos_embed = self.add_weight(shape=(1, 5, WIDTH), name="pos_embed")
        self.patch_embed = keras.layers.Dense(WIDTH)
        self.blocks = [BlockInKeras() for _ in range(BLOCKS)]
        self.norm, self.head = keras.layers.LayerNormalization(), keras.layers.Dense(1)

    def call(self, x: Any) -> Any:
        x = self.patch_embed(x) + self.pos_embed + self.cls_token
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


IN_KERAS = {"kernel": "weight", "gamma": "weight", "beta": "bias"}


def tables(spec: Spec) -> list[dict[str, tuple[float, float]]]:
    """Learning rate and weight decay of each parameter, by its path in torch."""
    in_keras = InKeras()
    in_keras(np.zeros((1, 5, WIDTH), "float32"))
    found = []
    for room, model in ((samestep.lightning, InTorch()), (samestep.keras, in_keras)):
        rows = {}
        for row in room.describe_parameters(spec, model):
            layer, _, name = row.path.rpartition("/")
            path = f"{layer}/{IN_KERAS.get(name, name)}" if layer else name
            rows[path] = pytest.approx((row.learning_rate, row.weight_decay), rel=1e-12)
        found.append(rows)
    return found


class Numbers(NamedTuple):
    weight: tuple[float, float]
    bias: tuple[float, float]
    norm_weight: tuple[float, float]
    norm_bias: tuple[float, float]


def expected(numbers: Numbers, **others: tuple[float, float]) -> dict[str, tuple[float, float]]:
    found = dict(others)
    for layer in ("patch_embed", *LAYERS, "norm", "head"):
        is_norm = "norm" in layer
        found[f"{layer}/weight"] = numbers.norm_weight if is_norm else numbers.weight
        found[f"{layer}/bias"] = numbers.norm_bias if is_norm else numbers.bias
    return found


OVERRIDDEN = ParameterRule(path="pos_embed", learning_rate=0.05, weight_decay=100)
# detectron2 means every parameter that torch calls bias, those of norms too; Keras calls those beta.
BIASES = [{"path": "**/bias"}, {"path": "**/beta", "optional": True}]
DETECTRON2: dict[str, tuple[list[ParameterRule], dict[str, tuple[float, float]]]] = {
    "no override": ([], expected(Numbers(*[(0.02, 1e-4)] * 4), cls_token=(0.02, 1e-4), pos_embed=(0.02, 1e-4))),
    "weight_decay_norm=0": (
        [ParameterRule(role="norm", weight_decay=0)],
        expected(
            Numbers((0.02, 1e-4), (0.02, 1e-4), (0.02, 0), (0.02, 0)), cls_token=(0.02, 1e-4), pos_embed=(0.02, 1e-4)
        ),
    ),
    "bias_lr_factor=2, weight_decay_bias=0, weight_decay_norm=5e-5": (
        [
            *(ParameterRule(**each, learning_rate=2, weight_decay=0) for each in BIASES),
            ParameterRule(role="norm", weight_decay=0.5),
        ],
        expected(
            Numbers((0.02, 1e-4), (0.04, 0), (0.02, 5e-5), (0.04, 0)), cls_token=(0.02, 1e-4), pos_embed=(0.02, 1e-4)
        ),
    ),
    "overrides={'pos_embed': ...}, bias_lr_factor=2": (
        [OVERRIDDEN, *(ParameterRule(**each, learning_rate=2) for each in BIASES)],
        expected(
            Numbers((0.02, 1e-4), (0.04, 1e-4), (0.02, 1e-4), (0.04, 1e-4)),
            cls_token=(0.02, 1e-4),
            pos_embed=(0.001, 1e-2),
        ),
    ),
}


@pytest.mark.parametrize("name", DETECTRON2)
def test_the_groups_of_detectron2s_get_default_optimizer_params(name: str) -> None:
    rules, table = DETECTRON2[name]
    assert tables(SGDW(0.02, 1e-4, 0.9, parameters=rules)) == [table, table]


NO_DECAY = [ParameterRule(role=["bias", "norm"], weight_decay=0), ParameterRule(path="pos_embed", weight_decay=0)]


def test_the_groups_of_timms_param_groups_weight_decay() -> None:
    """Without decay: at most one axis, a bias, and what the model lists, `no_weight_decay()`: tokens and positions."""
    table = expected(Numbers((0.5, 0.05), *[(0.5, 0)] * 3), cls_token=(0.5, 0), pos_embed=(0.5, 0))
    assert tables(AdamW(0.5, 0.05, parameters=NO_DECAY)) == [table, table]


def test_the_groups_of_timms_param_groups_layer_decay() -> None:
    """A depth for the stem, one for each block, the last of which has the norm behind it, and one for the head."""
    rules = [
        *NO_DECAY,
        ParameterRule(path="norm/*", learning_rate=0.75),
        ParameterRule(depth=["blocks/*/**", "head/**"], learning_rate=0.75),
        ParameterRule(learning_rate=0.75 ** (BLOCKS + 1)),
    ]
    scales = {"head": 1, "norm": 0.75, "blocks/2": 0.75, "blocks/1": 0.75**2, "blocks/0": 0.75**3}
    plain = expected(Numbers((0.5, 0.05), *[(0.5, 0)] * 3), cls_token=(0.5, 0), pos_embed=(0.5, 0))
    table = {}
    for path, (rate, decay) in plain.items():
        scale = next((scales[each] for each in scales if path.startswith(f"{each}/")), 0.75**4)
        table[path] = (rate * scale, decay)
    assert tables(AdamW(0.5, 0.05, parameters=rules)) == [table, table]
