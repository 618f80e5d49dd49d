"""Two devices use the values, and reach the weights, of one device that is given the joined batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import pytest

HERE = Path(__file__).parent
STRATEGIES = {"tensorflow": "tf.distribute.MirroredStrategy", "jax": "keras.distribution.DataParallel"}
CLIPPED = "AdamW with rules, clipped"
KINDS = ["stock", "SGDW with momentum", CLIPPED, "NAdamW"]
if keras.backend.backend() == "jax":
    KINDS.append(f"{CLIPPED}, scaled")
REFUSED = {
    "refused": "MirroredStrategy and gradient_accumulation_steps",
    "loss scaling": "MirroredStrategy and loss scaling",
    "steps_per_execution=2": "MirroredStrategy and steps_per_execution",
}


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What distributed.py prints."""
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    run = subprocess.run([sys.executable, HERE / "distributed.py"], env=environment, stdout=subprocess.PIPE, text=True)
    assert run.returncode == 0
    printed: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return printed


if keras.backend.backend() in STRATEGIES:  # Keras has neither on the torch backend

    @pytest.mark.parametrize("kind", KINDS)
    def test_two_devices_train_as_one_does(kind: str, found: dict[str, Any]) -> None:
        here = found[kind]
        assert here["same values"]
        # The sums over a batch are rounded in another order: of 16 updates, a few units in the last place of 1.
        assert here["distance"] < 2**-20


if keras.backend.backend() == "tensorflow":

    @pytest.mark.parametrize("key", REFUSED)
    def test_what_keras_cannot_do_with_two_replicas_is_refused(key: str, found: dict[str, Any]) -> None:
        rows = json.loads((HERE / "configurations.json").read_text())
        (row,) = [row for row in rows if REFUSED[key] in row["name"]]
        assert found[key] == row["outcome"]
