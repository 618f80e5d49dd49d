"""Each example is run as a user runs it, and what it prints is read."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = (
    "adamw_is_not_learning_rate_decay",
    "decay_after_epochs",
    "gan",
    "hand_over",
    "legacy_decay",
    "lightning_cli/main",
    "own_shape",
)


@pytest.fixture(scope="module")
def output() -> Callable[[str], str]:
    """What an example has printed; all of them run side by side, most of their time being spent on imports."""
    environment = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"}
    environment |= {"COLUMNS": "100", "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"}
    running = {
        name: subprocess.Popen(
            [sys.executable, EXAMPLES / f"{name}.py"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env=environment,
        )
        for name in NAMES
    }
    finished = {name: process.communicate() for name, process in running.items()}

    def read(name: str) -> str:
        printed, errors = finished[name]
        assert running[name].returncode == 0, errors
        return printed

    return read


def rows(printed: str) -> list[list[str]]:
    """The cells of every row of every table."""
    lines = [line for line in printed.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def test_legacy_decay_counted_updates_and_is_reproduced_in_both_frameworks(output: Callable[[str], str]) -> None:
    printed = output("legacy_decay")
    table = rows(printed)[:9]
    positions = [
        ["0", "0"],
        ["0", "1"],
        ["0", "4"],
        ["1", "0"],
        ["1", "1"],
        ["1", "4"],
        ["2", "0"],
        ["2", "1"],
        ["2", "4"],
    ]
    assert [row[:2] for row in table] == positions
    legacy, keras_3, lightning, keras = (list(column) for column in zip(*(row[2:] for row in table), strict=True))
    assert legacy == [
        *("0.100000", "0.099010", "0.096154"),
        *("0.095238", "0.094340", "0.091743"),
        *("0.090909", "0.090090", "0.087719"),
    ]
    assert lightning == legacy
    assert keras == legacy
    assert keras_3 == ["0.100000"] * 9
    assert "Keras 3 warned: Argument `decay` is no longer supported and will be ignored." in printed


def test_a_decay_per_epoch_is_another_thing(output: Callable[[str], str]) -> None:
    table = rows(output("legacy_decay"))[9:]
    inverse_time = ["0.100000"] * 3 + ["0.099010"] * 3 + ["0.098039"] * 3
    staircase = ["0.100000"] * 3 + ["0.099000"] * 3 + ["0.098010"] * 3
    columns = [list(column) for column in zip(*(row[2:] for row in table), strict=True)]
    assert columns == [inverse_time, inverse_time, staircase, staircase]


def test_decay_begins_where_it_is_told_to(output: Callable[[str], str]) -> None:
    table = rows(output("decay_after_epochs"))
    late = ["0.1"] * 8 + ["0.05", "0.025", "0.0125", "0.00625"]
    assert table[:12] == [[str(epoch), lr, lr, "yes"] for epoch, lr in enumerate(late)]
    every_5 = ["0.1"] * 5 + ["0.01"] * 5 + ["0.001"] * 2
    assert table[12:24] == [[str(epoch), lr, lr, lr, lr, "yes"] for epoch, lr in enumerate(every_5)]


def test_a_second_sitting_does_not_decay_twice(output: Callable[[str], str]) -> None:
    table = rows(output("decay_after_epochs"))[24:]
    used = ["0.1"] * 5 + ["0.01"] + ["0.01"] * 5 + ["0.001"] * 2
    epochs = ["0", "1", "2", "3", "4", "5", "5 again", "6", "7", "8", "9", "10", "11"]
    assert [row[:5] for row in table] == [[epoch, lr, lr, lr, "yes"] for epoch, lr in zip(epochs, used, strict=True)]
    keras_own = [float(row[5]) for row in table]
    assert keras_own == pytest.approx([0.1] * 5 + [0.01] + [0.001] * 5 + [0.0001] * 2, rel=1e-6)  # float32


def test_adamw_is_neither_learning_rate_decay_nor_a_penalty(output: Callable[[str], str]) -> None:
    printed = output("adamw_is_not_learning_rate_decay")
    table = rows(printed)
    lightning, keras = ([row for row in table if row[1] == name] for name in ("Lightning", "Keras"))
    assert [row[2] for row in lightning] == [row[2] for row in keras] == ["0.01 .. 0.001", *["0.01 .. 0.01"] * 2]
    # The digits that are printed, of weights that are the same but for rounding: the last one may differ. Of the 389
    # images one may fall on the other side; of what is left after 1e-6 of a penalty, float32 has few digits.
    for ours, theirs in zip(lightning, keras, strict=True):
        for column, apart in ((3, 1.1e-3), (4, 1.1 / 389), (5, 1.1e-3), (6, 1.1e-3)):
            assert float(ours[column]) == pytest.approx(float(theirs[column]), abs=apart)
    assert max(float(row[7]) for row in lightning) < 1e-5

    decayed, penalized, decoupled = (float(row[6]) for row in lightning)
    assert decayed == 1.0
    assert penalized < 1e-6
    assert decoupled == pytest.approx((1 - 0.01 * 0.1) ** 440, abs=1e-3)  # three digits are printed
    assert "the weights of the blank pixels kept 1.0000 of their norm." in printed
    assert "AdamW: they kept 0.6439; 0.6439 is the product of 1 - learning_rate * weight_decay." in printed


def test_a_shape_of_ones_own_does_what_the_built_in_ones_do(output: Callable[[str], str]) -> None:
    printed = output("own_shape")
    source = (
        "SigmoidDecay(over=percent(100) - updates(8), end=0.1).after(updates(8)) * Sawtooth(every=epochs(1), low=0.8)"
    )
    assert f"its repr is source code:\n  {source}\n" in printed
    assert '"over": "100% - 8 updates"' in printed
    assert "  equal: True\n" in printed
    # 16 updates of the sigmoid from update 8 on, times 1, 0.95, 0.9, 0.85 in each epoch
    epochs = [line.split(": ")[1].split() for line in printed.splitlines() if line.startswith("  epoch ")]
    expected = [(0.1 + 0.9 / (1 + math.exp(10 * (max(t - 8, 0) / 16 - 0.5)))) * (1 - 0.05 * (t % 4)) for t in range(24)]
    assert [cell for row in epochs for cell in row] == [f"{eta:.4f}" for eta in expected]
    assert "  0.9933 0.4967 0.2500 0.2483 0.2310 0.1250 0.0190\n" in printed
    assert "Sawtooth.every: found the bare number 5; expected a duration: write epochs(5)" in printed


def test_the_gan_trains_with_a_recipe_for_each_optimizer(output: Callable[[str], str]) -> None:
    generator, discriminator, distance = output("gan").splitlines()
    assert generator.split()[:2] == ["generator", "1120"]
    assert discriminator.split()[:2] == ["discriminator", "2240"]
    assert generator.endswith("learning rate 0.002 to 0.0001, as planned: True")
    assert discriminator.endswith("learning rate 0.002 to 0.00018, as planned: True")
    before, after = (float(word) for word in distance.split() if word[0].isdigit())
    assert after < before / 4  # how far a GAN gets is up to every rounding; it is about a hundredth


def test_a_recipe_in_a_yaml_file_is_followed(output: Callable[[str], str]) -> None:
    printed = output("lightning_cli/main")
    assert "10 epochs of 30 updates." in printed
    assert "the 300 updates used learning rates from 0.0004 up to 0.01 and down to 1.043e-05\n" in printed
    assert int(printed.rstrip().removesuffix("%").rpartition(" ")[2]) > 85  # without training, about 10


def test_a_run_begun_in_keras_goes_on_in_lightning(output: Callable[[str], str]) -> None:
    begins, ends = output("hand_over").splitlines()
    assert begins == "Lightning continues at epoch 2, update 0 with the learning rate 0.000550"  # half of the cosine
    assert ends.startswith("110 updates later the weights are ")
    assert float(ends.split()[6]) < 1e-5  # about 1e-6, by whichever kernels the processor has
