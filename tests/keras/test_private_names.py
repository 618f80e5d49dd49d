"""Every private name of Keras and tensorflow that the code relies on is listed, and there."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import samestep.keras
from samestep.core.private_names import PrivateName, missing
from samestep.keras.private_names import PRIVATE_NAMES

from ..private_names import PLUGINS, is_private, used_in

LISTED = {each.name for each in PRIVATE_NAMES}
OF_PYTHON = {"_replace", "_fields"}  # of named tuples
TEXTS = {"_regularizer", "_layers"}  # how the names of attributes end or begin, or of which nothing is asked


@pytest.mark.parametrize("each", PRIVATE_NAMES, ids=lambda each: f"{each.owner}.{each.name}")
def test_the_installed_framework_has_it(each: PrivateName) -> None:
    assert missing([each]) == []


@pytest.mark.parametrize(
    "each", [each for each in PRIVATE_NAMES if each.since], ids=lambda each: f"{each.owner}.{each.name}"
)
def test_one_that_is_new_is_not_in_an_older_version(each: PrivateName) -> None:
    assert each.is_there() == each.is_needed()


@pytest.mark.parametrize(
    "each", [each for each in PRIVATE_NAMES if each.is_needed()], ids=lambda each: f"{each.owner}.{each.name}"
)
def test_one_that_is_gone_is_told_by_its_name(each: PrivateName) -> None:
    (message,) = missing([each._replace(name=f"{each.name}_of_a_framework_that_dropped_it")])
    assert f"{each.owner}.{each.name}_of_a_framework" in message
    assert each.seen in message
    assert each.why in message


def test_no_other_private_name_is_used() -> None:
    assert used_in("keras") - LISTED - OF_PYTHON - TEXTS == set()
    assert any(map(is_private, used_in("keras"))), "nothing was found where there is something"


def test_none_is_listed_that_is_not_used() -> None:
    files = [path for path in (PLUGINS / "keras").rglob("*.py") if path.name != "private_names.py"]
    source = "\n".join(path.read_text() for path in files)
    assert [name for name in LISTED if name not in source] == []


def test_no_other_private_method_of_a_base_class_is_replaced() -> None:
    replaced = set()
    for module in pkgutil.walk_packages(samestep.keras.__path__, "samestep.keras."):
        for kind in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(kind) and kind.__module__.startswith("samestep.keras"):
                bases = [base for base in kind.__mro__ if not base.__module__.startswith("samestep")]
                replaced |= {name for name in vars(kind) for base in bases if is_private(name) and name in vars(base)}
    assert replaced - LISTED - {"_abc_impl", "_is_protocol"} == set()
    assert "_clip_gradients" in replaced
