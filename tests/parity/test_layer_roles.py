"""Every layer of torch.nn and of keras.layers that has parameters has a known role for each, the same in both."""

from __future__ import annotations

import ast
import inspect
import os
import textwrap
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest
import torch
from keras import layers
from torch import nn

import samestep.keras
import samestep.lightning
from samestep import AdamW

from .layer_pairs import PAIRS, in_keras_of, in_torch_of, keras_layer, names_of

WIDTHS = (1, 3)  # a layer of width 1 has the roles of a wider one


@pytest.mark.parametrize("n", WIDTHS)
@pytest.mark.parametrize("name", [name for name, pair in PAIRS.items() if pair.torch])
def test_the_roles_of_a_layer_of_torch(name: str, n: int) -> None:
    found = in_torch_of(name, n)
    assert {path: parameter.role for path, parameter in found.items()} == names_of(PAIRS[name], 0)


@pytest.mark.parametrize("n", WIDTHS)
@pytest.mark.parametrize("name", [name for name, pair in PAIRS.items() if pair.keras])
def test_the_roles_of_a_layer_of_keras(name: str, n: int) -> None:
    found = in_keras_of(name, n)
    assert {path: parameter.role for path, parameter in found.items()} == names_of(PAIRS[name], 1)


# What the constructors below need that a 2 for each argument does not give.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "AdaptiveLogSoftmaxWithLoss": {"n_classes": 9, "cutoffs": [3]},
    "FractionalMaxPool2d": {"output_size": 2},
    "FractionalMaxPool3d": {"output_size": 2},
    "InstanceNorm1d": {"affine": True},
    "InstanceNorm2d": {"affine": True},
    "InstanceNorm3d": {"affine": True},
    "TransformerDecoder": {"decoder_layer": nn.TransformerDecoderLayer(2, 1)},
    "TransformerEncoder": {"encoder_layer": nn.TransformerEncoderLayer(2, 1)},
    "Transformer": {"d_model": 2, "nhead": 1, "dim_feedforward": 2},
    **{name: {"input_size": 2, "hidden_size": 2} for name in ("RNN", "LSTM", "GRU")},
    "RNNBase": {"mode": "LSTM"},
    "RNNCellBase": {"bias": True},
    "Unflatten": {"unflattened_size": (1, 1)},
}
# They have what the user gives them.
CONTAINERS = ("Container", "DataParallel", "Module", "ModuleDict", "ModuleList", "Sequential")
CONTAINERS += ("ParameterDict", "ParameterList")


def classes(namespace: Any, base: type) -> dict[str, type]:
    found = {name: getattr(namespace, name) for name in dir(namespace)}
    return {name: each for name, each in found.items() if inspect.isclass(each) and issubclass(each, base)}


def made(kind: type) -> Any:
    given = ARGUMENTS.get(kind.__name__, {})
    needed = [
        each.name
        for each in inspect.signature(kind).parameters.values()
        if each.default is inspect.Parameter.empty and each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    return kind(**{**dict.fromkeys(needed, 2), **given})


@pytest.mark.filterwarnings("ignore")  # of layers that are deprecated, or that nothing is given to
def test_no_layer_of_torch_with_parameters_is_missing() -> None:
    known = {
        type(module)
        for pair in PAIRS.values()
        if pair.torch
        for module in pair.torch(3).modules()
        if [*module.parameters(recurse=False)]
    }
    kinds = classes(nn, nn.Module)
    missing = {
        type(module).__name__
        for name, kind in kinds.items()
        # A lazy layer becomes the other one; until then it has no shapes.
        if name not in CONTAINERS and not issubclass(kind, nn.modules.lazy.LazyModuleMixin)
        for module in made(kind).modules()
        if type(module) not in known and [*module.parameters(recurse=False)]
    }
    assert missing == {"RNNBase", "RNNCellBase"}  # no one uses the bases of recurrent layers alone
    assert len(known) > 30


def adds_weights(kind: type) -> bool:
    """Whether the code of a layer or of one of its bases makes a variable."""
    for each in kind.__mro__:
        if not issubclass(each, layers.Layer) or each is layers.Layer:
            continue
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(each)))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("add_weight", "Variable"):
                fixed = any(
                    each.arg == "trainable" and getattr(each.value, "value", 1) is False for each in node.keywords
                )
                if not fixed:
                    return True
    return False


# They hold another library's network: roles by shape, or for TorchModuleWrapper those of torch's layers.
FOREIGN = {"FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"}


def test_no_layer_of_keras_with_parameters_is_missing() -> None:
    known = {
        type(layer)
        for name, pair in PAIRS.items()
        if pair.keras
        for layer in keras_layer(name, 3)._flatten_layers()
        if layer._trainable_variables
    }
    kinds = {kind for name, kind in classes(layers, layers.Layer).items() if adds_weights(kind)}
    assert {kind.__name__ for kind in kinds - known} == FOREIGN
    assert len(known) > 25


class Scales(nn.Module):
    """Bare parameters, as they lie for channels that come first."""

    def __init__(self) -> None:
        super().__init__()
        for name, shape in BARE.items():
            setattr(self, name, nn.Parameter(torch.zeros(shape[0])))


BARE = {  # in torch, and in Keras, with the role
    "layer_scale": ((3, 1, 1), (3,), "bias"),
    "layer_scale_of_a_block": ((3,), (3,), "bias"),
    "temperature": ((), (1,), "bias"),
    "temperature_of_heads": ((2, 1, 1), (2, 1, 1), "bias"),
    "class_token": ((1, 1, 3), (1, 1, 3), "bias"),
    "position": ((1, 5, 3), (1, 5, 3), "kernel"),
    "relative_position_bias_table": ((9, 2), (9, 2), "kernel"),
    "mixing": ((3, 4), (4, 3), "kernel"),
}


class ScalesInKeras(layers.Layer):
    def build(self, shape: Any) -> None:
        for name, (_, own, _) in BARE.items():
            setattr(self, name, self.add_weight(shape=own, name=name))

    def call(self, inputs: Any) -> Any:
        return inputs


def test_parameters_of_a_users_own_layer_go_by_their_shape_in_both() -> None:
    expected = {name: role for name, (*_, role) in BARE.items()}
    assert {row.path: row.role for row in samestep.lightning.describe_parameters(AdamW(), Scales())} == expected
    model = keras.Sequential([keras.Input((3,)), ScalesInKeras(name="scales")])
    found = samestep.keras.describe_parameters(AdamW(), model)
    assert {row.path.removeprefix("scales/"): row.role for row in found} == expected
