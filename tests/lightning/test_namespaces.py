"""The callbacks work under pytorch_lightning, under lightning, and under both; nothing of Keras is imported."""

from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap
from typing import Any

import pytest
import pytorch_lightning
import torch

from samestep.lightning import EpochGatedDecay, HyperparameterScheduler, LearningRateScheduler, TraceRecorder

CALLBACKS = (EpochGatedDecay, HyperparameterScheduler, LearningRateScheduler, TraceRecorder)

# Makes the top-level packages in sys.argv[2:] look as if they were not installed.
BLOCK = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2:]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""

TRAIN = """
import importlib
import torch
from samestep.lightning import EpochGatedDecay, TraceRecorder

pl = importlib.import_module(sys.argv[1])

class Ramp(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def training_step(self, batch, batch_idx):
        return self.weight * 1.0

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)

trace = TraceRecorder()
assert isinstance(trace, pl.Callback)
trainer = pl.Trainer(
    callbacks=[EpochGatedDecay(0.5, start_epoch=1), trace], accelerator="cpu", max_epochs=3, logger=False,
    enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
)
module = Ramp()
trainer.fit(module, torch.utils.data.DataLoader(torch.zeros(1)))
assert trace.trace.column("learning_rate") == [1.0, 0.5, 0.25]
assert module.weight.item() == -1.75
assert not {"keras", "tf_keras", "tensorflow", "jax", *sys.argv[2:]} & set(sys.modules), sorted(sys.modules)
print("trained")
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-c", BLOCK + textwrap.dedent(code), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("namespace", "missing"), [("pytorch_lightning", "lightning"), ("lightning.pytorch", "pytorch_lightning")]
)
def test_one_lightning_package_is_enough_and_keras_is_not_imported(namespace: str, missing: str) -> None:
    finished = run(TRAIN, namespace, missing)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip().endswith("trained")


def test_without_lightning_the_error_says_what_to_install() -> None:
    code = """
        try:
            import samestep.lightning
        except ModuleNotFoundError as error:
            print(error)
    """
    finished = run(code, "none", "pytorch_lightning", "lightning")
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith("samestep.lightning: found neither pytorch_lightning nor lightning;")
    assert "pip install 'samestep[lightning]'" in finished.stdout


def test_a_broken_installation_is_not_taken_for_a_missing_one() -> None:
    finished = run("import samestep.lightning", "none", "torchmetrics")
    assert finished.returncode == 1
    assert "No module named 'torchmetrics" in finished.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def lightning() -> Any:
    return importlib.import_module("lightning.pytorch")  # takes seconds, so not for every test of this folder


@pytest.mark.parametrize("callback", CALLBACKS)
def test_callbacks_are_callbacks_of_both_packages(lightning: Any, callback: type) -> None:
    assert issubclass(callback, pytorch_lightning.Callback)
    assert issubclass(callback, lightning.Callback)


@pytest.mark.parametrize("name", ["pytorch_lightning", "lightning.pytorch"])
def test_callbacks_train_in_both_trainers(lightning: Any, name: str) -> None:
    pl = {"pytorch_lightning": pytorch_lightning, "lightning.pytorch": lightning}[name]

    class Ramp(pl.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))

        def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
            return self.weight * 1.0

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=1.0)

    trace, module = TraceRecorder(), Ramp()
    trainer = pl.Trainer(
        callbacks=[LearningRateScheduler(lambda epoch, lr: lr / 2), trace],
        accelerator="cpu",
        max_epochs=3,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.fit(module, torch.utils.data.DataLoader(torch.zeros(1)))
    assert trace.trace.column("learning_rate") == [0.5, 0.25, 0.125]
    assert module.weight.item() == -0.875
