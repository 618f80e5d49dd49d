"""Parameter groups that are added while a run trains: by Lightning's finetuning callbacks, and by the user's own code.

What each update used is read from the optimizer; weights of resumed runs are those of the uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import BackboneFinetuning, BaseFinetuning, ModelCheckpoint
from torch import nn

from samestep import SGDW, AdamW, LinearDecay, NAdamW, ParameterRule, Recipe, StepDecay, epochs, updates
from samestep.lightning import (
    EpochGatedDecay,
    HyperparameterScheduler,
    LearningRateScheduler,
    ReduceOnPlateau,
    TraceRecorder,
    build_optimizer,
    export_state,
    import_state,
)

from .tiny_training import QUIET, AfterEveryBatch

BATCHES, EPOCHS, UNFREEZE = 2, 4, 2
RULES = [ParameterRule(path="backbone/**", role="bias", weight_decay=0)]
SPECS = {
    "adamw": AdamW(0.5, 0.25),
    "adamw rules": AdamW(0.5, 0.25, parameters=RULES),
    "adamw clipped": AdamW(0.5, 0.25, global_clipnorm=0.5, parameters=RULES),
    "nadamw": NAdamW(0.5, 0.25, parameters=RULES),
    "nadamw update": NAdamW(0.5, 0.25, weight_decay_basis="update"),
    "sgdw": SGDW(0.5, 0.25, parameters=RULES),
    "sgdw schedule": SGDW(0.5, 0.25, 0.5, weight_decay_basis="schedule", parameters=RULES),
}
SMOOTH = LinearDecay(over=updates(BATCHES * EPOCHS), start=1.0, end=0.0)


class Network(pl.LightningModule):
    """A backbone, with a norm, and a head."""

    def __init__(self, configure: Callable[[pl.LightningModule], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        self.head = nn.Linear(4, 1)
        self.configure = configure

    def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
        loss = self.head(self.backbone(batch)).square().mean()
        self.log("loss", loss, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self) -> Any:
        return self.configure(self)


class Unfreeze(BaseFinetuning):
    """Unfreezes the backbone at an epoch, with a learning rate of its own."""

    def __init__(self, **how: Any) -> None:
        super().__init__()
        self.how = how

    def freeze_before_training(self, pl_module: Any) -> None:
        self.freeze(pl_module.backbone, train_bn=False)

    def finetune_function(self, pl_module: Any, epoch: int, optimizer: torch.optim.Optimizer) -> None:
        if epoch == UNFREEZE:
            self.unfreeze_and_add_param_group(pl_module.backbone, optimizer, **self.how)


class ByHand(pl.Callback):
    """As the user's own code adds a group: in a hook, with numbers of its own."""

    def __init__(self, hook: str, at: int, **numbers: Any) -> None:
        self.seen = 0

        def add(trainer: pl.Trainer, module: Any, *args: Any) -> None:
            if trainer.global_step == at and len(trainer.optimizers[0].param_groups) == 1:
                module.backbone.requires_grad_(True)
                trainer.optimizers[0].add_param_group({"params": list(module.backbone.parameters()), **numbers})

        setattr(self, hook, add)

    def setup(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        pl_module.backbone.requires_grad_(False)


class Run:
    def __init__(
        self, configure: Any, *callbacks: Any, path: Path | None = None, epochs: int = EPOCHS, **options: Any
    ) -> None:
        self.recorder = TraceRecorder()
        self.module = Network(configure)
        self.trainer = pl.Trainer(callbacks=[*callbacks, self.recorder], max_epochs=epochs, **{**QUIET, **options})
        # All batches are alike: resumed within an epoch, Lightning begins the data anew.
        data = torch.randn(2, 3, generator=torch.Generator().manual_seed(1)).repeat(BATCHES, 1)
        self.trainer.fit(
            self.module, torch.utils.data.DataLoader(data, 2), ckpt_path=None if path is None else str(path)
        )

    def used(self, name: str) -> list[float | None]:
        return [entry.values.get(name) for entry in self.recorder.trace.entries]

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return {name: value.clone() for name, value in self.module.state_dict().items()}


def built(spec: Any) -> Callable[[pl.LightningModule], Any]:
    return lambda module: build_optimizer(spec, module)


def stock(module: pl.LightningModule) -> torch.optim.Optimizer:
    return torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.5, momentum=0.5)


def of_group(base: float, schedule: Any, begin: int = UNFREEZE * BATCHES) -> list[float | None]:
    plan = Recipe(learning_rate=schedule).plan(updates_per_epoch=BATCHES, epochs=EPOCHS)
    values = plan.values("learning_rate", base=base)
    return [None] * begin + values[begin:]


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_an_unfrozen_group_follows_from_its_own_base(spec: Any, first: bool) -> None:
    callbacks = [Unfreeze(lr=0.125), HyperparameterScheduler(Recipe(spec, SMOOTH, SMOOTH), verify=True)]
    run = Run(built(spec), *(callbacks if first else reversed(callbacks)))
    assert run.used("learning_rate") == of_group(0.5, SMOOTH, 0)
    assert run.used("learning_rate/1") == of_group(0.125, SMOOTH)
    # Linear's bias has a group of its own where a rule says so; the norm's is no bias.
    split = bool(spec.parameters)
    assert run.used("learning_rate/2") == (of_group(0.125, SMOOTH) if split else [None] * 8)
    decays = [run.used(f"weight_decay/{number}") for number in ((1, 2) if split else (1,))]
    expected = [of_group(0.25, SMOOTH), *([of_group(0.0, SMOOTH)] if split else [])]
    assert sorted(decays, key=lambda each: each[4]) == sorted(expected, key=lambda each: each[4])  # type: ignore[arg-type,return-value]


DRIVERS: dict[str, Any] = {
    "schedule": lambda: HyperparameterScheduler(Recipe(learning_rate=StepDecay(0.5, epochs(1))), verify=True),
    "gated": lambda: EpochGatedDecay(0.5, start_epoch=1),
    "function": lambda: LearningRateScheduler(lambda epoch, lr: lr / 2 if epoch else lr),
    "plateau": lambda: ReduceOnPlateau("loss", mode="max", patience=0, factor=0.5, threshold=1e9),
}
HALVED = StepDecay(0.5, epochs(1))


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_callback_follows_it(driver: str) -> None:
    run = Run(stock, DRIVERS[driver](), Unfreeze(lr=0.125))
    late = 1 if driver == "plateau" else 0  # the first score is the best
    expected = HALVED if not late else HALVED.after(epochs(1))
    assert run.used("learning_rate") == of_group(0.5, expected, 0)
    assert run.used("learning_rate/1") == of_group(0.125, expected)
    logged = {name: float(value) for name, value in run.trainer.callback_metrics.items()}
    assert logged["learning_rate/1"] == run.used("learning_rate/1")[-1]


@pytest.mark.parametrize(
    ("hook", "at", "begin"),
    [
        ("on_train_epoch_start", 2, 2),
        ("on_train_batch_start", 3, 3),
        ("on_train_batch_end", 3, 3),
        ("on_train_epoch_end", 4, 4),
        ("on_train_start", 0, 0),
    ],
)
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("numbers", [{}, {"lr": 0.125}], ids=str)
def test_groups_added_by_hand(hook: str, at: int, begin: int, first: bool, numbers: Any) -> None:
    spec = SGDW(0.5, 0.25, 0.5)
    callbacks = [ByHand(hook, at, **numbers), HyperparameterScheduler(Recipe(spec, SMOOTH), verify=True)]
    run = Run(built(spec), *(callbacks if first else reversed(callbacks)))
    assert run.used("learning_rate") == of_group(0.5, SMOOTH, 0)
    assert run.used("learning_rate/1") == of_group(numbers.get("lr", 0.5), SMOOTH, begin)


def test_a_group_added_during_an_update_stops_the_run() -> None:
    class Late(Network):
        def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
            if self.global_step == 3:
                self.trainer.optimizers[0].add_param_group({"params": [nn.Parameter(torch.zeros(()))]})
            return super().training_step(batch, index)

    trainer = pl.Trainer(callbacks=[EpochGatedDecay(0.5, start_epoch=1)], max_epochs=3, **QUIET)
    with pytest.raises(ValueError, match=r"^EpochGatedDecay: found a parameter group that was added while an update"):
        trainer.fit(Late(stock), torch.utils.data.DataLoader(torch.ones(4, 3), 2))


def test_a_base_that_the_schedule_has_multiplied_already_is_told() -> None:
    with pytest.warns(UserWarning, match=r"^EpochGatedDecay: found a parameter group added with a tenth of 0.25, the"):
        run = Run(stock, EpochGatedDecay(0.5, start_epoch=UNFREEZE), Unfreeze())
    assert run.used("learning_rate/1")[4:] == [0.0125, 0.0125, 0.00625, 0.00625]


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_backbone_finetuning_drives_the_backbone_and_the_recipe_the_rest(spec: Any) -> None:
    tuning = BackboneFinetuning(UNFREEZE, lambda epoch: 1.5, backbone_initial_lr=0.0625, should_align=False)
    for order in (1, -1):
        callbacks = [tuning, HyperparameterScheduler(Recipe(spec, SMOOTH, SMOOTH), verify=True)][::order]
        run = Run(built(spec), *callbacks)
        assert run.used("learning_rate") == of_group(0.5, SMOOTH, 0)
        for number in (1, 2) if spec.parameters else (1,):
            assert run.used(f"learning_rate/{number}")[4:] == [0.0625, 0.0625, 0.09375, 0.09375]
        assert run.used("weight_decay/1")[4:] in (of_group(0.25, SMOOTH)[4:], [0.0] * 4)


def test_backbone_finetuning_aligns_with_the_first_update_of_an_epoch() -> None:
    tuning = BackboneFinetuning(1, lambda epoch: 100.0)
    spec = SGDW(0.5)
    run = Run(built(spec), tuning, HyperparameterScheduler(Recipe(spec, SMOOTH), verify=True))
    head = of_group(0.5, SMOOTH, 0)
    assert run.used("learning_rate") == head
    assert run.used("learning_rate/1") == [None, None, head[2] * 10e-2, head[2] * 10e-2, *[head[4]] * 2, *[head[6]] * 2]  # type: ignore[operator]


@pytest.mark.parametrize("driver", DRIVERS)
def test_backbone_finetuning_beside_every_callback(driver: str) -> None:
    tuning = BackboneFinetuning(UNFREEZE, lambda epoch: 1.0, backbone_initial_lr=0.0625)
    run = Run(stock, DRIVERS[driver](), tuning)
    assert run.used("learning_rate") == Run(stock, DRIVERS[driver]()).used("learning_rate")
    assert run.used("learning_rate/1")[4:] == [0.0625] * 4


def test_an_optimizer_that_has_the_backbone_already_is_refused() -> None:
    with pytest.raises(
        ValueError, match="found BackboneFinetuning and an optimizer that has all parameters of the backbo"
    ):
        Run(
            lambda module: torch.optim.SGD(module.parameters(), lr=0.5),
            BackboneFinetuning(UNFREEZE),
            EpochGatedDecay(0.5, start_epoch=1),
        )


TUNINGS: dict[str, Callable[[], Any]] = {
    "base": lambda: Unfreeze(lr=0.125),
    "backbone": lambda: BackboneFinetuning(UNFREEZE, lambda epoch: 1.5, backbone_initial_lr=0.0625),
    "by hand": lambda: ByHand("on_train_epoch_start", UNFREEZE * BATCHES, lr=0.125),
    "within": lambda: ByHand("on_train_batch_start", UNFREEZE * BATCHES + 1),
}


@pytest.mark.parametrize("optimizer", ["adamw rules", "sgdw schedule", "stock"])
@pytest.mark.parametrize("tuning", TUNINGS)
def test_a_run_resumed_anywhere_is_the_uninterrupted_one(tmp_path: Path, tuning: str, optimizer: str) -> None:
    spec = SPECS.get(optimizer)
    configure, recipe = (stock, Recipe(learning_rate=SMOOTH)) if spec is None else (built(spec), Recipe(spec, SMOOTH))

    def callbacks() -> list[Any]:
        return [HyperparameterScheduler(recipe, verify=True), TUNINGS[tuning]()]

    saver = AfterEveryBatch(tmp_path)
    whole = Run(configure, *callbacks(), saver)
    for batches in (3, 4, 5, 6, 7):
        again = Run(configure, *callbacks(), path=saver.path(batches))
        for name in ("learning_rate", "learning_rate/1", "learning_rate/2", "weight_decay/1"):
            assert again.used(name) == whole.used(name)[batches:], (batches, name)
        for name, value in whole.weights.items():
            assert torch.equal(again.weights[name], value), (batches, name)


def test_a_hand_over_takes_groups_of_the_recipes_numbers_alone(tmp_path: Path) -> None:
    spec = SPECS["adamw rules"]
    scheduler = HyperparameterScheduler(Recipe(spec, SMOOTH))
    run = Run(built(spec), ByHand("on_train_epoch_start", 4), scheduler)
    export_state(tmp_path / "run.npz", run.module)
    again = Network(built(spec))
    path = import_state(tmp_path / "run.npz", again)
    checkpoint = torch.load(path, weights_only=True)
    assert "later" not in checkpoint["samestep"]["optimizers"]["0"]
    moments = {len(group["params"]) for group in checkpoint["optimizer_states"][0]["param_groups"]}
    assert moments == {5, 1}  # the backbone's bias in its own group, as build_optimizer makes it
    assert len(checkpoint["optimizer_states"][0]["state"]) == 6
    other = Run(built(spec), ByHand("on_train_epoch_start", 4, lr=0.125), HyperparameterScheduler(Recipe(spec, SMOOTH)))
    with pytest.raises(
        ValueError, match=r"a parameter group that was added with a learning_rate of its own, 0\.125; add"
    ):
        export_state(tmp_path / "run.npz", other.module)


def test_two_optimizers_each_get_groups_and_keep_their_names(tmp_path: Path) -> None:
    class Two(Network):
        def __init__(self) -> None:
            super().__init__(lambda module: None)
            self.automatic_optimization = False

        def training_step(self, batch: torch.Tensor, index: int) -> None:
            one, two = self.optimizers()  # type: ignore[misc, union-attr]
            self.manual_backward(self.head(self.backbone(batch)).square().mean())
            for optimizer in (one, two):
                optimizer.step()
                optimizer.zero_grad()

        def configure_optimizers(self) -> Any:
            self.backbone.requires_grad_(False)
            self.backbone[1].weight.requires_grad_(True)
            return torch.optim.SGD([self.backbone[1].weight], 0.5), torch.optim.SGD(self.head.parameters(), 0.25)

    class Adds(pl.Callback):
        def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
            if trainer.current_epoch == 1:
                pl_module.optimizers()[0].add_param_group(
                    {"params": [pl_module.backbone[0].weight.requires_grad_(True)]}
                )
            if trainer.current_epoch == 2:
                pl_module.optimizers()[1].add_param_group({"params": [pl_module.backbone[0].bias], "lr": 0.125})

    def run(path: Path | None = None) -> dict[str, Any]:
        recorder = TraceRecorder()
        recipes = {"backbone": Recipe(learning_rate=HALVED), "head": Recipe(learning_rate=StepDecay(0.5, updates(2)))}
        callbacks = [HyperparameterScheduler(recipes, verify=True), Adds(), recorder]
        saves = [ModelCheckpoint(tmp_path, "{epoch}", save_top_k=-1)] if path is None else []
        options = {**QUIET, "enable_checkpointing": path is None}
        trainer = pl.Trainer(callbacks=[*callbacks, *saves], max_epochs=4, **options)
        trainer.fit(Two(), torch.utils.data.DataLoader(torch.ones(4, 3), 2), ckpt_path=path)
        return recorder.traces

    whole = run()
    assert list(whole) == ["backbone", "head"]
    first, second = ([entry.values.get("learning_rate/1") for entry in trace.entries] for trace in whole.values())
    assert first == [None, None, 0.25, 0.25, 0.125, 0.125, 0.0625, 0.0625]
    assert second == [None] * 4 + [0.125 / 4] * 2 + [0.125 / 8] * 2
    resumed = run(tmp_path / "epoch=2.ckpt")  # the head's optimizer has a part of the backbone, and its name still
    assert {name: trace.entries for name, trace in resumed.items()} == {
        name: trace.entries[6:] for name, trace in whole.items()
    }
