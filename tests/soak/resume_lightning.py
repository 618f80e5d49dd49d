"""Lightning, killed after any batch and resumed in a process that knows nothing of the run, once and once more.

A case is the checkpoints that a run was resumed from, one after the other: "batch-5 batch-7" was resumed after its
fifth batch, killed after its seventh, and resumed again. What its last process used and left is compared with the run
that was never interrupted, bit for bit.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from sweep import Case, Sweep, in_fresh_process
from torch.utils.data import DataLoader

from samestep import AdamW, CosineDecay, LinearDecay, ParameterRule, Recipe, Trace, Warmup, percent, updates
from samestep.lightning import HyperparameterScheduler, TraceRecorder, build_optimizer

EPOCHS, BATCHES = 4, 5
OUTCOME = "outcome"  # the name of a file
SPEC = AdamW(learning_rate=0.01, weight_decay=0.1, parameters=[ParameterRule(role=("bias", "norm"), weight_decay=0)])
RATE = Warmup(over=updates(3), start=0.25) * CosineDecay(over=percent(100), end=0.1)
DECAY = LinearDecay(over=percent(100), end=0.2)
MOMENTUM = LinearDecay(over=percent(100), start=0.5, end=1.0)


class Setting(NamedTuple):
    """What EPOCHS epochs are trained with: a callback for each recipe, and the options of the Trainer."""

    accumulate: int
    validate: int = 1
    recipes: Sequence[Recipe] = (Recipe(SPEC, RATE, DECAY, MOMENTUM),)
    options: Mapping[str, Any] = {"max_epochs": EPOCHS}


BOUNDED = {"max_epochs": -1, "max_steps": 12}
SETTINGS = {
    "accumulate 1, validate every 1": Setting(1, 1),
    "accumulate 1, validate every 2": Setting(1, 2),
    "accumulate 2, validate every 1": Setting(2, 1),
    "accumulate 2, validate every 2": Setting(2, 2),
    "accumulate 2, bf16-mixed": Setting(2, options={"max_epochs": EPOCHS, "precision": "bf16-mixed"}),
    "accumulate 2, max_steps, two callbacks": Setting(
        2, recipes=(Recipe(None, RATE), Recipe(None, weight_decay=DECAY, momentum=MOMENTUM)), options=BOUNDED
    ),
}


class Batches:
    """Batches of which no two are alike: the trainer says of which epoch, and the state from which of them on."""

    def __init__(self) -> None:
        self.sampler = self  # Lightning calls set_epoch of a loader's sampler
        self.epoch = self.drawn = 0

    def __len__(self) -> int:
        return BATCHES

    def __iter__(self) -> Iterator[torch.Tensor]:
        for batch in range(self.drawn % BATCHES, BATCHES):
            self.drawn = batch + 1
            yield numbers(self.epoch * BATCHES + batch)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def state_dict(self) -> dict[str, int]:
        return {"drawn": self.drawn}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.drawn = state["drawn"]


def numbers(seed: int) -> torch.Tensor:
    return torch.randn(8, 6, generator=torch.Generator().manual_seed(seed))


class Net(pl.LightningModule):
    """A small network, and what it was validated with: the loss, by its epoch."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        layers = torch.nn.Linear(5, 8), torch.nn.LayerNorm(8), torch.nn.Tanh(), torch.nn.Linear(8, 1)
        self.layers = torch.nn.Sequential(*layers)
        self.validated: list[tuple[int, float]] = []

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        return torch.nn.functional.mse_loss(self.layers(batch[:, :5]), batch[:, 5:])

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.log("val_loss", self.training_step(batch, batch_idx))

    def on_validation_epoch_end(self) -> None:
        self.validated.append((self.current_epoch, self.trainer.callback_metrics["val_loss"].item()))

    def configure_optimizers(self) -> Any:
        return build_optimizer(SPEC, self)


class AfterEveryBatch(pl.Callback):
    """Saves a checkpoint after every batch, with the number of batches of the run in its name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        trainer.save_checkpoint(self.folder / f"batch-{trainer.current_epoch * BATCHES + batch_idx + 1}.ckpt")


def savers(folder: Path) -> list[pl.Callback]:
    """What saves `checkpoints()` into a folder."""
    options = {"save_top_k": -1, "auto_insert_metric_name": False}
    return [
        AfterEveryBatch(folder),
        ModelCheckpoint(folder, "epoch-{epoch}", every_n_epochs=1, save_on_train_epoch_end=True, **options),
        ModelCheckpoint(folder, "validation-{epoch}", monitor="val_loss", save_on_train_epoch_end=False, **options),
    ]


def checkpoints(settings: str) -> list[str]:
    """The names of the checkpoints of a run, in the order in which they are saved."""
    every, names = SETTINGS[settings].validate, []
    for epoch in range(EPOCHS):
        names += [f"batch-{epoch * BATCHES + batch + 1}" for batch in range(BATCHES)]
        names += [f"validation-{epoch}"] if (epoch + 1) % every == 0 else []
        names += [f"epoch-{epoch}"]
    return names


def train(folder: Path, settings: str, checkpoint: Path | None) -> None:
    """Train to the end, from the beginning or from a checkpoint, and write what was used and left into a folder."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    setting, module, recorder = SETTINGS[settings], Net(), TraceRecorder()
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        callbacks=[*savers(folder), *map(HyperparameterScheduler, setting.recipes), recorder],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        accumulate_grad_batches=setting.accumulate,
        check_val_every_n_epoch=setting.validate,
        **setting.options,
    )
    trainer.fit(module, Batches(), DataLoader(numbers(1000), 4), ckpt_path=checkpoint)
    outcome = {
        "trace": recorder.trace.to_dict(),
        "validations": module.validated,
        "weights": module.state_dict(),
        "optimizer": trainer.optimizers[0].state_dict(),
    }
    torch.save(outcome, folder / OUTCOME)


class Runs:
    """The runs of one of `SETTINGS`, by the checkpoints that they were resumed from, one after the other."""

    def __init__(self, folder: Path, settings: str) -> None:
        self.root, self.settings = folder / settings, settings
        self._lock = threading.RLock()

    def shared(self, chain: Sequence[str]) -> Path:
        """The folder of a run that several others are compared with or go on from: it is made once."""
        folder = self._folder(chain)
        with self._lock:
            if not (folder / OUTCOME).exists():
                self.make(chain)
        return folder

    def make(self, chain: Sequence[str]) -> Path:
        """Resume the run of all but the last checkpoint from the last, in a process of its own; returns its folder."""
        checkpoint = self.shared(chain[:-1]) / f"{chain[-1]}.ckpt" if chain else None
        folder = self._folder(chain)
        folder.mkdir(parents=True, exist_ok=True)
        in_fresh_process(train, folder, self.settings, checkpoint)
        return folder

    def check(self, chain: Sequence[str]) -> str:
        """What differs between a run that was resumed from these checkpoints and one that never was; "" for nothing."""
        whole = torch.load(self.shared(()) / OUTCOME, weights_only=True)
        found = torch.load(self.make(chain) / OUTCOME, weights_only=True)
        epoch, batches = divmod(batches_before(chain[-1]), BATCHES)
        accumulated = SETTINGS[self.settings].accumulate
        per_epoch = -(-BATCHES // accumulated)  # the last batches of an epoch are an update
        made = epoch * per_epoch + batches // accumulated
        plan = Recipe(SPEC, RATE).plan(updates_per_epoch=per_epoch, epochs=EPOCHS)
        planned = [rate for epoch in range(EPOCHS) for rate in plan.values("learning_rate", epoch)]
        pairs = {
            "plan": (Trace.from_dict(found["trace"]).column("learning_rate"), planned[made:]),
            "trace": (entries(found), entries(whole)[made:]),
            # Lightning does not validate after the last batch of an epoch where it is resumed there.
            "validations": (found["validations"], [v for v in whole["validations"] if v[0] >= epoch]),
            "weights": (found["weights"], whole["weights"]),
            "optimizer": (found["optimizer"], whole["optimizer"]),
        }
        return "; ".join(f"{what}: {said}" for what, pair in pairs.items() if (said := difference(*pair)))

    def _folder(self, chain: Sequence[str]) -> Path:
        return self.root / " ".join(["start", *chain])


def entries(outcome: Mapping[str, Any]) -> list[Any]:
    """Position and values of every update."""
    return [(entry.position, entry.values) for entry in Trace.from_dict(outcome["trace"]).entries]


def batches_before(checkpoint: str) -> int:
    """The batches of the run before a checkpoint."""
    kind, number = checkpoint.split("-")
    return int(number) if kind == "batch" else (int(number) + 1) * BATCHES


def difference(found: Any, expected: Any) -> str:
    """Where two outcomes first differ, in a bit or more, or ""."""
    if isinstance(expected, torch.Tensor):
        return "" if torch.equal(found, expected) else f"differs by up to {(found - expected).abs().max():g}"
    if isinstance(expected, dict) and isinstance(found, dict) and found.keys() == expected.keys():
        pairs = [(f"{key}: ", found[key], expected[key]) for key in expected]
    elif isinstance(expected, list | tuple) and isinstance(found, list | tuple):
        if len(found) != len(expected):
            return f"{len(found)} and not {len(expected)} of them"
        pairs = [("", *pair) for pair in zip(found, expected, strict=True)]
    else:
        return "" if found == expected else f"{found} and not {expected}"
    return next((f"{where}{said}" for where, *pair in pairs if (said := difference(*pair))), "")


def once(folder: Path) -> Iterable[Case]:
    """Resumed from each of its checkpoints."""
    for settings in SETTINGS:
        runs = Runs(folder, settings)
        for checkpoint in checkpoints(settings):
            yield Case(settings, checkpoint, partial(runs.check, [checkpoint]))


def twice(folder: Path) -> Iterable[Case]:
    """Resumed from each of its checkpoints, and then from each later one."""
    for settings in SETTINGS:
        runs, names = Runs(folder, settings), checkpoints(settings)
        for first in names:
            # What lies between the last batch and the end of its epoch is left out where a run is resumed there.
            for second in (name for name in names if batches_before(name) > batches_before(first)):
                yield Case(settings, f"{first} {second}", partial(runs.check, [first, second]))


SWEEPS = [Sweep("lightning-once", once), Sweep("lightning-twice", twice)]
