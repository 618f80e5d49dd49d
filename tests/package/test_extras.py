"""Each extra alone in an environment of its own: what it brings trains, and what is missing is said."""

from __future__ import annotations

import pytest

from .environments import EXTRAS, LINES, NOT_RUN, Environment, readme_lines
from .programs import CHECK, KERAS, LIGHTNING, PLAN, RATES, TORCH

MISSING = "ModuleNotFoundError: samestep."
BACKENDS = ("tensorflow", "jax", "torch")


def line(extras: str) -> str:
    """README's line for some extras."""
    (found,) = [each for each in LINES if each.split()[-1].strip("'") == f"samestep{extras}"]
    return found


def install(environment: Environment, what: str) -> None:
    environment.shell(f"uv pip install --quiet {what}")


def test_the_lines_of_readme_are_run_but_for_those_of_another_index() -> None:
    assert set(readme_lines()) - set(LINES) == set(NOT_RUN)
    assert sorted(LINES) == sorted(map(line, ["", "[lightning]", *(f"[keras,{each}]" for each in BACKENDS), "[all]"]))
    assert set(EXTRAS) >= {"torch", "lightning", "keras", *BACKENDS, "parity", "all"}


def test_the_core_alone(environment: Environment) -> None:
    environment.shell(line(""))  # by pip
    assert environment.python(PLAN) == RATES
    for room, says in {
        "torch": "found no torch; run pip install 'samestep[torch]'.",
        "lightning": "found no numpy; run pip install 'samestep[lightning]'.",
        "keras": "found no keras; run pip install 'samestep[keras,tensorflow]'.",
        "parity": "found no numpy; run pip install 'samestep[parity]'.",
        "parity.__main__": "found no numpy; run pip install 'samestep[parity]'.",
    }.items():
        assert environment.error(f"import samestep.{room}") == f"{MISSING}{room.partition('.')[0]}: {says}"


def test_torch_alone(environment: Environment) -> None:
    install(environment, "'samestep[torch]'")
    assert not environment.has("numpy")
    assert environment.python(TORCH) == "[1.0]"
    assert environment.error("import samestep.keras") == (
        f"{MISSING}keras: found no keras; run pip install 'samestep[keras,torch]'."
    )
    install(environment, "numpy")
    assert environment.error("import samestep.lightning") == (
        f"{MISSING}lightning: found neither pytorch_lightning nor lightning; run pip install 'samestep[lightning]'."
    )


def test_either_package_of_lightning_alone(environment: Environment) -> None:
    environment.shell(f"uv {line('[lightning]')} --quiet")
    assert not environment.has("lightning")
    assert environment.python(LIGHTNING.format(lightning="pytorch_lightning")) == RATES
    install(environment, "lightning")  # which brings pytorch-lightning
    environment.shell("uv pip uninstall --quiet pytorch-lightning")
    assert not environment.has("pytorch_lightning")
    assert environment.python(LIGHTNING.format(lightning="lightning.pytorch")) == RATES
    assert environment.error("import samestep.keras").startswith(f"{MISSING}keras: found no keras;")


@pytest.mark.parametrize("backend", BACKENDS)
def test_keras_on_one_backend_alone(environment: Environment, backend: str) -> None:
    environment.shell(f"uv {line(f'[keras,{backend}]')} --quiet")
    others = [each for each in BACKENDS if each != backend]
    assert [each for each in others if environment.has(each)] == []
    assert environment.python(KERAS, KERAS_BACKEND=backend) == RATES
    assert environment.error("import samestep.keras", KERAS_BACKEND=others[0]) == (
        f"{MISSING}keras: found {backend}, but KERAS_BACKEND says {others[0]!r}, which is not installed; set the "
        f"environment variable KERAS_BACKEND={backend}, or run pip install 'samestep[keras,{others[0]}]'."
    )
    if backend != "tensorflow":  # Keras' default
        assert environment.error("import samestep.keras", KERAS_HOME=str(environment.folder)).startswith(
            f"{MISSING}keras: found {backend}, but Keras is set to 'tensorflow', which is not installed; set "
        )
    if backend == "jax":
        environment.shell("UV_CONSTRAINT= uv pip install --quiet keras==3.4.1")
        assert environment.error("import samestep.keras", KERAS_BACKEND=backend).startswith(
            "ImportError: samestep.keras: found keras 3.4.1, expected at least 3."
        )


def test_keras_without_a_backend(environment: Environment) -> None:
    install(environment, "'samestep[keras]'")
    assert environment.error("import samestep.keras") == (
        f"{MISSING}keras: found Keras without a backend; run pip install 'samestep[keras,tensorflow]', or with jax or "
        f"torch in place of tensorflow."
    )


def test_parity_without_a_framework(environment: Environment) -> None:
    install(environment, "'samestep[parity]'")
    assert environment.error(CHECK) == (
        "ValueError: check: found no framework to train in; run pip install 'samestep[lightning]', or "
        "'samestep[keras,jax]', or with tensorflow or torch in place of jax."
    )
