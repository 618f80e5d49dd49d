"""Random stacks of layers that both frameworks have: rules give each parameter the same in both."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import samestep.keras
import samestep.lightning
from samestep import AdamW, ParameterRule
from samestep.core.specs.parameter_rules import ROLES

from .layer_pairs import PAIRS, keras_layer, outside

WIDTH = 3
BOTH = [name for name, pair in PAIRS.items() if pair.torch and pair.keras]
DEPTHS = [["stack/*/**"], ["stack/0/**", "stack/*/**"], ["stack/?/**"]]
POWERS = st.sampled_from([0.25, 0.5, 2.0, 4.0])  # whose products are exact


class Stack(keras.Model):
    """It has the layers and is not called: they were built one by one."""

    def __init__(self, layers: list[Any]) -> None:
        super().__init__()
        self.stack = layers
        self.built = True


@st.composite
def rules(draw: st.DrawFn, count: int) -> list[ParameterRule]:
    """Rules that match by role, path or depth, or by several of them; those that match nothing are no error here."""

    def rule() -> ParameterRule:
        sets = draw(st.sampled_from(["learning_rate", "weight_decay"]))
        how: dict[str, Any] = {sets: draw(POWERS), "optional": True}
        if draw(st.booleans()):
            how["role"] = draw(st.lists(st.sampled_from(ROLES), min_size=1, unique=True))
        if draw(st.booleans()):
            how["path"] = f"stack/{draw(st.integers(0, count - 1))}/**"
        if draw(st.booleans()):
            how |= {"depth": draw(st.sampled_from(DEPTHS)), "learning_rate": draw(POWERS)}
        return ParameterRule(**how)

    return [rule() for _ in range(draw(st.integers(1, 4)))]


@settings(max_examples=40)
@given(st.data())
def test_both_frameworks_describe_a_stack_alike(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(BOTH), min_size=1, max_size=12, unique=True))
    spec = AdamW(0.5, 0.25, parameters=data.draw(rules(len(names))))
    made = [PAIRS[name].torch for name in names]
    module = nn.ModuleDict({"stack": nn.ModuleList(make(WIDTH) for make in made if make)})
    theirs = [keras_layer(name, WIDTH) for name in names]
    in_torch = {row.path: row for row in samestep.lightning.describe_parameters(spec, module)}
    in_keras = {row.path: row for row in samestep.keras.describe_parameters(spec, Stack(theirs))}
    compared = set()
    for number, (name, layer) in enumerate(zip(names, theirs, strict=True)):
        for role, entries in PAIRS[name].roles.items():
            for entry in entries.split():
                its, _, others = entry.partition("=")
                row = in_torch[f"stack/{number}/{its}"]
                assert row.role == role
                for other in filter(None, others.split(",")):
                    path = f"stack/{number}/{outside(layer)}{other}"
                    compared.add(path)
                    assert in_keras[path][2:] == row[2:], (path, row)  # all but path and shape
    assert compared == set(in_keras)
