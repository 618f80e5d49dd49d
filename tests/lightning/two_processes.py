"""One process of a training run for `test_distributed.py`: `python two_processes.py FILE`, with torch's environment.

Without LOCAL_RANK it is the only one and has the joined batches. What its updates used and left goes into FILE.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import ModelParallelStrategy, Strategy
from torch.distributed import fsdp
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from samestep import SGDW, AdamW, CosineDecay, NAdamW, ParameterRule, Recipe, StepDecay, Warmup, percent
from samestep.lightning import (
    EpochGatedDecay,
    HyperparameterScheduler,
    ReduceOnPlateau,
    TraceRecorder,
    build_optimizer,
)
from samestep.lightning.resume_fixes import GRADIENTS

SHARDS = hasattr(fsdp, "fully_shard")  # until torch 2.6 it works on GPUs alone
RANK = int(os.environ.get("LOCAL_RANK", "-1"))
EPOCHS, BATCHES, BATCH = 3, 4, 16
RULES = [ParameterRule(role=("bias", "norm"), weight_decay=0, learning_rate=2)]

Build = Callable[[torch.nn.Module], torch.optim.Optimizer]


class Case(NamedTuple):
    """How two processes train together, with what, and whether Lightning chooses the batches of each, at random."""

    how: str
    build: Build
    callback: Any = None
    at_random: bool = False


def whole_run(how: str, spec: Any, at_random: bool = False, **options: Any) -> Case:
    """A run by a recipe in percent of it."""
    recipe = Recipe(spec, learning_rate=Warmup(percent(20)) * CosineDecay(over=percent(100), end=0.1))
    return Case(how, lambda m: build_optimizer(spec, m, **options), HyperparameterScheduler(recipe), at_random)


def sgd(module: torch.nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)


def zero(module: torch.nn.Module) -> torch.optim.Optimizer:
    if RANK < 0:
        return sgd(module)
    return ZeroRedundancyOptimizer(module.parameters(), torch.optim.SGD, lr=0.1, momentum=0.9)


CASES = {
    "ddp without us": Case("ddp", sgd),
    "ddp adamw": whole_run("ddp", AdamW(0.01, 0.1)),
    "ddp sgdw rules clip": whole_run("ddp", SGDW(0.1, 0.1, 0.9, global_clipnorm=0.1, parameters=RULES)),
    "ddp stock sgd": Case("ddp", sgd, EpochGatedDecay(0.5, start_epoch=1)),
    "ddp zero": Case("ddp", zero, EpochGatedDecay(0.5, start_epoch=1)),
    "ddp at random": whole_run("ddp", AdamW(0.01, 0.1), at_random=True),
    "sharded without us": Case("sharded", sgd),
    "sharded stock sgd": Case("sharded", sgd, EpochGatedDecay(0.5, start_epoch=1)),
    "sharded adamw rules": whole_run("sharded", AdamW(0.01, 0.1, parameters=RULES)),
    "sharded adamw foreach clip": whole_run("sharded", AdamW(0.01, 0.1, global_clipnorm=0.1), foreach=True),
    "sharded adamw hat clipnorm": whole_run("sharded", AdamW(0.01, 0.1, epsilon_mode="hat", clipnorm=0.01)),
    "sharded nadamw l1": whole_run("sharded", NAdamW(0.01, 0.1, l1_ratio=0.5)),
    "sharded sgdw": whole_run("sharded", SGDW(0.1, 0.1, 0.9)),
    "sharded sgdw update clip": whole_run("sharded", SGDW(0.1, 0.01, weight_decay_basis="update", global_clipnorm=0.1)),
}
# Of each epoch what the process of rank 0 has as its score, and what that of rank 1 has: those of the epochs from 2 on
# are bad by their mean, those from 1 on for rank 0 alone, and none for rank 1 alone.
SCORES = [(1.0, 7.0), (1.0, 6.0), (2.0, 5.0), (3.0, 4.0), (4.0, 3.0)]
LOGGED = ("validation", "validation of rank 0", "end", "end of rank 0")
FLATTENED = {
    "": AdamW(0.01, 0.1, clipvalue=0.1),
    "parameters": AdamW(0.01, 0.1, parameters=RULES),
    "global_clipnorm": AdamW(0.01, 0.1, global_clipnorm=1.0),
    "clipnorm": SGDW(0.01, 0.1, clipnorm=1.0),
}


class Net(pl.LightningModule):
    """Layers of sizes that two processes cannot share evenly."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.case, self.layers = case, layers()

    def configure_model(self) -> None:
        if self.case.how == "sharded" and RANK >= 0:
            fsdp.fully_shard(self.layers, mesh=self.device_mesh["data_parallel"])

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(self.layers(batch[0]), batch[1])

    def configure_optimizers(self) -> Any:
        return self.case.build(self)


class Scored(Net):
    """Logs scores that are not synchronized: by validation or at the end of the epoch, all processes or the first."""

    def __init__(self, logged: str) -> None:
        super().__init__(CASES["ddp stock sgd"])
        self.logged = logged

    def log_score(self, at: str) -> None:
        alone = self.logged.endswith("of rank 0")
        if self.logged.startswith(at) and not (alone and RANK > 0):
            score = sum(SCORES[self.current_epoch]) / 2 if RANK < 0 and not alone else None
            score = SCORES[self.current_epoch][max(RANK, 0)] if score is None else score
            self.log("val_loss", score, rank_zero_only=alone)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log_score("validation")

    def on_train_epoch_end(self) -> None:
        self.log_score("end")


def layers() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(8, 15), torch.nn.LayerNorm(15), torch.nn.Tanh(), torch.nn.Linear(15, 3))


def batches(at_random: bool = False) -> DataLoader[Any]:
    generator = torch.Generator().manual_seed(0)
    count = BATCHES * BATCH
    data = TensorDataset(torch.randn(count, 8, generator=generator), torch.randint(0, 3, (count,), generator=generator))
    if RANK < 0:
        return DataLoader(data, BATCH)
    # Batch k of the two processes together is batch k of the single one.
    sampler = None if at_random else DistributedSampler(data, 2, RANK, shuffle=False)
    return DataLoader(data, BATCH // 2, sampler=sampler)


def weights(module: torch.nn.Module) -> list[torch.Tensor]:
    """Those of the whole module, wherever its parts are."""
    return [getattr(p, "full_tensor", lambda p=p: p)().detach().clone() for p in module.parameters()]


def run(case: Case) -> dict[str, Any]:
    """Train, and say what came of it."""
    strategy: str | Strategy = "auto"
    if RANK >= 0:
        sharded = case.how == "sharded"
        strategy = ModelParallelStrategy(data_parallel_size=2, tensor_parallel_size=1) if sharded else case.how
    recorder = TraceRecorder()
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1 if RANK < 0 else 2,
        strategy=strategy,
        max_epochs=EPOCHS,
        callbacks=[case.callback, recorder] if case.callback else [],
        use_distributed_sampler=case.at_random,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    module = Net(case)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        trainer.fit(module, batches(case.at_random))
    return {
        "trace": recorder.trace.to_dict(),
        "weights": weights(module),
        "warnings": sorted({str(warning.message) for warning in warned}),
    }


def resumed_shards() -> dict[str, Any]:
    """The learning rates of runs with sharded weights, whole and resumed from either kind of checkpoint."""
    spec = AdamW(0.1, 0.1)
    recipe = Recipe(spec, learning_rate=StepDecay(0.5, every="1 epoch"))
    drivers = {
        "stock": (sgd, lambda: EpochGatedDecay(0.5, start_epoch=1)),
        "spec": (lambda m: build_optimizer(spec, m), lambda: HyperparameterScheduler(recipe)),
    }
    return {
        f"{name} sharded={sharded}": resumed_shard(build, driver, sharded)
        for name, (build, driver) in drivers.items()
        for sharded in (True, False)
    }


def resumed_shard(build: Build, driver: Callable[[], Any], sharded: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        path: str | None = None
        for name, epochs in (("whole", EPOCHS), ("first", 1), ("resumed", EPOCHS)):
            recorder = TraceRecorder()
            trainer = pl.Trainer(
                accelerator="cpu",
                devices=1 if RANK < 0 else 2,
                strategy="auto" if RANK < 0 else ModelParallelStrategy(2, 1, save_distributed_checkpoint=sharded),
                max_epochs=epochs,
                callbacks=[driver(), recorder],
                use_distributed_sampler=False,
                logger=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                enable_checkpointing=False,
            )
            module = Net(Case("sharded", build))
            trainer.fit(module, batches(), ckpt_path=path if name == "resumed" else None)
            found[name] = {"rates": recorder.trace.column("learning_rate"), "weights": weights(module)}
            if name == "first":
                path = trainer.strategy.broadcast(f"{folder}/1.ckpt")
                trainer.save_checkpoint(path)
                trainer.strategy.barrier()
        trainer.strategy.barrier()
    return found


class AfterEveryBatch(pl.Callback):
    """Saves a checkpoint after every batch, and keeps whether it has gradients."""

    def __init__(self) -> None:
        self.with_gradients: list[bool] = []

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        trainer.save_checkpoint(f"{sys.argv[1]}.ckpt")

    def on_save_checkpoint(self, trainer: pl.Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        self.with_gradients.append(GRADIENTS in checkpoint)


def accumulated() -> dict[str, Any]:
    """What is saved of updates of two batches."""
    saver = AfterEveryBatch()
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1 if RANK < 0 else 2,
        strategy="auto" if RANK < 0 else "ddp",
        max_epochs=1,
        accumulate_grad_batches=2,
        callbacks=[EpochGatedDecay(0.5, start_epoch=1), saver],
        use_distributed_sampler=False,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        trainer.fit(Net(CASES["ddp stock sgd"]), batches())
    return {"with gradients": saver.with_gradients, "warnings": [str(warning.message) for warning in warned]}


def plateaus() -> dict[str, Any]:
    """For each way to log a score what reduces by it: of a whole run, and of one that goes on from its third epoch."""
    return {logged: plateau(logged) for logged in LOGGED}


def plateau(logged: str) -> dict[str, Any]:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("whole", "resumed"):
            recorder, reducer = TraceRecorder(), ReduceOnPlateau(factor=0.5, patience=0)
            saver = pl.callbacks.ModelCheckpoint(
                folder, "{epoch}", every_n_epochs=1, save_top_k=-1, save_on_train_epoch_end=True
            )
            trainer = pl.Trainer(
                accelerator="cpu",
                devices=1 if RANK < 0 else 2,
                strategy="auto" if RANK < 0 else "ddp",
                max_epochs=len(SCORES),
                callbacks=[reducer, recorder, *([saver] if name == "whole" else [])],
                use_distributed_sampler=False,
                enable_checkpointing=name == "whole",
                logger=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            path = trainer.strategy.broadcast(f"{folder}/epoch=2.ckpt") if name == "resumed" else None
            trainer.fit(Scored(logged), batches(), batches(), ckpt_path=path)
            found[name] = {"scores": reducer.scores, "trace": recorder.trace.to_dict()}
            trainer.strategy.barrier()
    return found


def flattened() -> dict[str, Any]:
    """What torch's FullyShardedDataParallel makes of each spec, in a loop of our own: Lightning's demands a GPU."""
    found: dict[str, Any] = {}
    for use_orig_params in (True, False):
        for name, spec in FLATTENED.items():
            model = layers()
            if RANK >= 0:
                cpu = torch.device("cpu")
                model = FullyShardedDataParallel(model, device_id=cpu, use_orig_params=use_orig_params)
            try:
                optimizer = build_optimizer(spec, model)
            except ValueError as error:
                found[f"{name} {use_orig_params}"] = str(error)
                continue
            for inputs, targets in batches():
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(model(inputs), targets).backward()
                optimizer.step()
            whole = FullyShardedDataParallel.summon_full_params(model) if RANK >= 0 else warnings.catch_warnings()
            with whole:
                found[f"{name} {use_orig_params}"] = torch.cat([p.detach().flatten() for p in model.parameters()])
    return found


if __name__ == "__main__":
    found = {name: run(case) for name, case in CASES.items() if SHARDS or case.how != "sharded"}
    found |= {"plateaus": plateaus(), "flattened": flattened(), "accumulated": accumulated()}
    found |= {"resumed shards": resumed_shards()} if SHARDS else {}
    torch.save(found, sys.argv[1])
