"""LightningCLI makes the callbacks, with their recipes, from a YAML file, under either of Lightning's packages."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from samestep import AdamW, CosineDecay, MultiStepDecay, ParameterRule, Recipe, Trace, Warmup
from samestep.lightning import EpochGatedDecay, HyperparameterScheduler, ReduceOnPlateau

# Trains from the YAML files in sys.argv[3:], one after the other, while the package sys.argv[2] looks not installed.
TRAIN = """
import importlib
import json
import sys
import torch

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[2]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
pl = importlib.import_module(sys.argv[1])
cli = importlib.import_module(sys.argv[1] + ".cli")

class Ramp(pl.LightningModule):
    batches = 0

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def training_step(self, batch, batch_idx):
        Ramp.batches += 1
        self.log("loss", 1.0)
        return self.weight * 1.0

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.zeros(2))

    def configure_optimizers(self):
        from samestep.lightning import build_optimizer

        specs = [c.spec for c in self.trainer.callbacks if getattr(c, "spec", None)]
        return build_optimizer(specs[0], self) if specs else torch.optim.SGD(self.parameters(), lr=1.0)

for path in sys.argv[3:]:
    Ramp.batches, found = 0, {}
    try:
        made = cli.LightningCLI(Ramp, args=["fit", "--config", path], save_config_kwargs={"overwrite": True})
        ours = [c for c in made.trainer.callbacks if type(c).__module__.startswith("samestep.")]
        found = {"callbacks": [repr(ours[0])], "trace": ours[1].trace.to_dict()}
    except (SystemExit, Exception) as error:
        found["error"] = f"{type(error).__name__}: {error}"
    print("FOUND", json.dumps({**found, "batches": Ramp.batches}), flush=True)
assert sys.argv[2] not in sys.modules
"""

YAML = """
trainer:
  accelerator: cpu
  devices: 1
  max_epochs: 4
  logger: false
  enable_progress_bar: false
  enable_model_summary: false
  enable_checkpointing: false
  default_root_dir: {folder}
  callbacks:
    - class_path: samestep.lightning.{callback}
    - class_path: samestep.lightning.TraceRecorder
"""

SCHEDULER = """HyperparameterScheduler
      init_args:
        recipe:
          optimizer:
            class_path: samestep.AdamW
            init_args:
              learning_rate: 0.5
              betas: [0.8, 0.99]
              parameters:
                - class_path: samestep.ParameterRule
                  init_args: {role: [bias, norm], weight_decay: 0}
          learning_rate:
            class_path: samestep.core.schedule.Product
            init_args:
              left: {class_path: samestep.Warmup, init_args: {over: 2 updates}}
              right: {class_path: samestep.CosineDecay, init_args: {over: 100% - 1 update}}
          weight_decay:
            class_path: samestep.MultiStepDecay
            init_args: {factor: 0.5, at: [1 epoch, 75%]}
"""
WITHOUT_A_SPEC = """HyperparameterScheduler
      init_args:
        resolution: epoch
        recipe:
          learning_rate: {class_path: samestep.StepDecay, init_args: {factor: 0.5, every: 1 epoch}}
"""
GATED = """EpochGatedDecay
      init_args: {factor: 0.5, start_epoch: 1, every_epochs: 2, floor: 0.125}
"""
PLATEAU = """ReduceOnPlateau
      init_args: {monitor: loss, factor: 0.5, patience: 0, mode: min}
"""
WRONG = {
    "duration": (
        WITHOUT_A_SPEC.replace("1 epoch", "1 parsec"),
        "StepDecay.every: found '1 parsec', which has no known unit",
    ),
    "number": (WITHOUT_A_SPEC.replace("every: 1 epoch", "every: 5"), 'Parser key "every"'),
    "range": (WITHOUT_A_SPEC.replace("0.5", "-1"), "StepDecay.factor: found -1.0; expected a multiplier of at least 0"),
    "field": (WITHOUT_A_SPEC.replace("every", "evry"), "Option 'evry' is not accepted"),
    "beta": (SCHEDULER.replace("0.99", "1.99"), "AdamW.betas: found (0.8, 1.99); expected two numbers in [0, 1)"),
    "kind": (
        WITHOUT_A_SPEC.replace("samestep.StepDecay", "samestep.AdamW"),
        "not correspond to a subclass of Schedule",
    ),
    "factor": (PLATEAU.replace("0.5", "1.5"), "ReduceOnPlateau: factor: found 1.5; expected a multiplier in [0, 1)"),
    "mode": (PLATEAU.replace("min", "best"), 'Parser key "mode"'),
    "epoch": (GATED.replace("start_epoch: 1", "start_epoch: -1"), "EpochGatedDecay: found start_epoch=-1;"),
}
GOOD = {"no spec": WITHOUT_A_SPEC, "gated": GATED, "plateau": PLATEAU, "scheduler": SCHEDULER}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], dict[str, Any]]:
    """outcome(package, file): what came of each file, and of the file that Lightning saved of the last one."""
    folder = tmp_path_factory.mktemp("cli")
    texts = {**{name: text for name, (text, _) in WRONG.items()}, **GOOD}
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(YAML.replace("{callback}", text))
    running = {}
    for package, missing in (("pytorch_lightning", "lightning"), ("lightning.pytorch", "pytorch_lightning")):
        own = folder / package
        own.mkdir()
        files = [own / f"{name}.yaml" for name in texts]
        for file in files:
            file.write_text((folder / file.name).read_text().replace("{folder}", str(own)))
        running[package] = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", TRAIN, package, missing, *files, own / "config.yaml"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    results = {}
    for package, process in running.items():
        printed, errors = process.communicate()
        assert process.returncode == 0, errors
        found = [json.loads(line.removeprefix("FOUND ")) for line in printed.splitlines() if line.startswith("FOUND ")]
        results[package] = dict(zip([*texts, "saved"], found, strict=True)) | {"stderr": errors}
    return lambda package, file: results[package][file]


both = pytest.mark.parametrize("package", ["pytorch_lightning", "lightning.pytorch"])


@both
def test_a_recipe_in_yaml_is_that_recipe(outcome: Callable[..., Any], package: str) -> None:
    recipe = Recipe(
        AdamW(0.5, betas=(0.8, 0.99), parameters=[ParameterRule(role=("bias", "norm"), weight_decay=0)]),
        learning_rate=Warmup("2 updates") * CosineDecay(over="100% - 1 update"),
        weight_decay=MultiStepDecay(0.5, at=["1 epoch", "75%"]),
    )
    found = outcome(package, "scheduler")
    assert found["callbacks"] == [repr(HyperparameterScheduler(recipe))]
    trace, plan = Trace.from_dict(found["trace"]), recipe.plan(updates_per_epoch=2, epochs=4)
    assert trace.column("learning_rate") == [rate for epoch in range(4) for rate in plan.values("learning_rate", epoch)]


@both
def test_a_recipe_without_a_spec_and_a_gated_decay(outcome: Callable[..., Any], package: str) -> None:
    rates = Trace.from_dict(outcome(package, "no spec")["trace"]).column("learning_rate")
    assert rates == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    found = outcome(package, "gated")
    assert found["callbacks"] == [repr(EpochGatedDecay(0.5, start_epoch=1, every_epochs=2, floor=0.125))]
    assert Trace.from_dict(found["trace"]).column("learning_rate") == [1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]


@both
def test_a_reduction_on_a_plateau(outcome: Callable[..., Any], package: str) -> None:
    found = outcome(package, "plateau")
    assert found["callbacks"] == [repr(ReduceOnPlateau("loss", factor=0.5, patience=0))]
    assert Trace.from_dict(found["trace"]).column("learning_rate") == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]


@both
def test_the_file_that_lightning_saves_is_the_same_again(outcome: Callable[..., Any], package: str) -> None:
    assert outcome(package, "saved") == outcome(package, "scheduler")


@both
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_an_error_that_names_it_before_training(
    outcome: Callable[..., Any], package: str, name: str
) -> None:
    found = outcome(package, name)
    assert WRONG[name][1] in found["error"] + outcome(package, "stderr")
    assert found["batches"] == 0
    assert outcome(package, "gated")["batches"] == 8
