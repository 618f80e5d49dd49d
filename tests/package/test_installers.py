"""README's lines by pip; by uv they are run in test_extras.py and test_all.py."""

from __future__ import annotations

import json

import pytest

from .environments import LINES, Environment
from .programs import KERAS, RATES

FRAMEWORKS = {"torch", "pytorch-lightning", "keras", "tensorflow", "jax"}
BROUGHT = {
    "samestep": set(),
    "'samestep[lightning]'": {"torch", "pytorch-lightning"},
    "'samestep[keras,tensorflow]'": {"keras", "tensorflow"},
    "'samestep[keras,jax]'": {"keras", "jax"},
    "'samestep[keras,torch]'": {"keras", "torch"},
    "'samestep[all]'": FRAMEWORKS,
}


@pytest.mark.parametrize("line", LINES)
def test_pip_finds_what_a_line_of_readme_asks_for_and_no_other_framework(environment: Environment, line: str) -> None:
    found = json.loads(environment.shell(f"{line} --dry-run --quiet --report -"))
    names = {each["metadata"]["name"].lower().replace("_", "-") for each in found["install"]}
    assert names & FRAMEWORKS == BROUGHT[line.removeprefix("pip install ")]
    (wheel,) = (each["download_info"]["url"] for each in found["install"] if each["metadata"]["name"] == "samestep")
    assert wheel.startswith("file://"), "an index has a samestep too"


def test_pip_installs_and_it_trains(environment: Environment) -> None:
    """One line, because pip takes a minute for some: what is installed is the same as by uv."""
    (line,) = [each for each in LINES if "jax" in each]
    environment.shell(f"{line} --quiet", PIP_NO_COMPILE="1")
    assert environment.python(KERAS, KERAS_BACKEND="jax") == RATES
