"""What version 0.1 wrote with the names of its modules is read, with a warning for each of them."""

from __future__ import annotations

import importlib
import pickle
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import jsonargparse
import pytest

import samestep.core
from samestep import (
    SGDW,
    AdamW,
    CosineDecay,
    NAdamW,
    ParameterRule,
    Plateau,
    Position,
    Recipe,
    StepDecay,
    Table,
    Trace,
    Warmup,
    epochs,
    percent,
    sequence,
    updates,
)
from samestep.core.callbacks import HyperparameterScheduler
from samestep.core.moved import MOVED

STATES = Path(__file__).parents[1] / "states"
RECIPE = Recipe(
    AdamW(0.1, 0.05, parameters=[ParameterRule(role="bias", weight_decay=0)]),
    learning_rate=Warmup(over=updates(3), start=0.25)
    * CosineDecay(over=percent(100), end=0.1).repeat(epochs(2), growth=1.5),
    weight_decay=sequence(
        StepDecay(0.5, epochs(1)).after("1 epoch").at_least(0.2), (epochs(2), Table([0.5, 1.0], "1 epoch"))
    ),
)


@pytest.fixture(autouse=True)
def _not_yet_imported() -> None:
    """Each test is the first one that asks for a former name."""
    for name in MOVED:
        sys.modules.pop(f"samestep.core.{name}", None)
        vars(samestep.core).pop(name, None)


def test_a_pickle_of_version_0_1_is_read() -> None:
    with pytest.warns(FutureWarning, match="; the old name will be removed in samestep 0") as warned:
        found = pickle.loads((STATES / "recipe_0.1.pickle").read_bytes())
    assert len(warned) == len({str(each.message) for each in warned}) == 12, "one for each module"
    assert found["recipe"] == RECIPE
    assert found["specs"] == [SGDW(0.5, momentum=0.9), NAdamW()]
    for name in RECIPE.driven:
        assert found["plan"].values(name) == RECIPE.plan(4, 3).values(name)
    trace = Trace()
    trace.record(Position(1, 2), {"learning_rate": 0.5})
    assert found["trace"] == trace
    assert found["plateau"] == Plateau(patience=3)


def test_what_is_pickled_now_names_no_module_of_version_0_1() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pickle.loads(pickle.dumps(RECIPE)) == RECIPE
    assert b"samestep.core.recipes.recipe" in pickle.dumps(RECIPE)


YAML = """
scheduler:
  recipe:
    class_path: samestep.core.recipe.Recipe
    init_args:
      optimizer:
        class_path: samestep.core.optimizers.AdamW
        init_args: {learning_rate: 0.5}
      learning_rate:
        class_path: samestep.core.schedule.Product
        init_args:
          left: {class_path: samestep.Warmup, init_args: {over: 2 updates}}
          right: {class_path: samestep.core.ramps.CosineDecay, init_args: {over: 100%}}
"""


def test_a_yaml_file_of_version_0_1_is_read() -> None:
    parser = jsonargparse.ArgumentParser()
    parser.add_class_arguments(HyperparameterScheduler, "scheduler")
    with pytest.warns(FutureWarning, match=r"^samestep.core.(recipe|optimizers|schedule|ramps) has moved to samestep"):
        found: Any = parser.instantiate(parser.parse_string(YAML))
    assert found.scheduler.recipe == Recipe(AdamW(0.5), Warmup("2 updates") * CosineDecay("100%"))


@pytest.mark.parametrize("name", MOVED)
def test_a_module_has_what_its_places_have_and_warns_where_it_is_imported(name: str) -> None:
    with pytest.warns(FutureWarning, match=f"^samestep.core.{name} has moved to samestep.core.") as warned:
        module = importlib.import_module(f"samestep.core.{name}")
    assert len(warned) == 1
    assert importlib.import_module(f"samestep.core.{name}") is module, "it does not warn twice"
    for place in MOVED[name]:
        home = importlib.import_module(f"samestep.core.{place}")
        assert {key for key in vars(home) if not key.startswith("__")} <= set(vars(module))
        own = [key for key, found in vars(home).items() if getattr(found, "__module__", "") == home.__name__]
        assert own, "what is defined there"
        assert all(getattr(module, key) is getattr(home, key) for key in own)


def test_the_warning_is_told_at_the_line_that_imports() -> None:
    program = "import samestep.core.shapes\nfrom samestep.core.ramps import Warmup\nprint(Warmup('1 epoch'))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "Warmup(over=epochs(1))"
    assert re.findall(r"<string>:(\d): FutureWarning: (samestep\.core\.\w+) ", done.stderr) == [
        ("1", "samestep.core.shapes"),
        ("2", "samestep.core.ramps"),
    ]
    assert "write from samestep import ..." in done.stderr


def test_a_module_that_there_never_was_is_not_found() -> None:
    for name in ("samestep.core.optimisers", "samestep.core.schedules.recipe", "samestep.recipe"):
        with pytest.raises(ModuleNotFoundError, match=f"^No module named '{name}'$"):
            importlib.import_module(name)
