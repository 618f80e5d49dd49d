"""The demo's network, begun in one framework and continued in the other: as if it had stayed where it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import pytorch_lightning as pl
import torch

import samestep.keras
import samestep.lightning
from samestep import (
    SGDW,
    AdamW,
    CosineDecay,
    LinearDecay,
    NAdamW,
    ParameterRule,
    Recipe,
    Trace,
    Warmup,
    percent,
    updates,
)
from samestep.core.specs.spec import Spec
from samestep.exchange import read
from samestep.parity.in_keras import _Probe as Probe
from samestep.parity.in_lightning import Network
from samestep.parity.problem import Problem, Weights
from samestep.parity.result import WEIGHT_TOLERANCE

PROBLEM = Problem(epochs=4)
BEFORE = 1  # epochs that are trained before the hand-over, of 44 updates each
SPECS = {
    "adamw": AdamW(1e-3, 0.1, amsgrad=True, parameters=[ParameterRule(role="bias", weight_decay=0)]),
    "nadamw": NAdamW(1e-3, 0.1),
    "sgdw": SGDW(0.05, 0.01, 0.9),
}
OF_KERAS = {  # what Keras calls the parameters of the Lightning module, and how they lie there
    "hidden/weight": ("hidden/kernel", (1, 0)),
    "classes/weight": ("classes/kernel", (1, 0)),
    "probe": "scaled/probe",
}
OF_LIGHTNING = {"scaled/probe": "probe"}  # the others are known layers, of the same names
ORDER = ("kernel_1", "bias_1", "kernel_2", "bias_2", "probe")


def recipe(spec: Spec) -> Recipe:
    return Recipe(
        spec,
        learning_rate=Warmup(updates(30), start=0.1) * CosineDecay(percent(100), end=0.1),
        weight_decay=LinearDecay(percent(100), end=0.5),
        momentum=LinearDecay(percent(100), start=0.9, end=1.0),
    )


class Keras:
    """The network in Keras."""

    def __init__(self, spec: Spec, weights: Weights) -> None:
        dense = keras.layers.Dense
        self.model = keras.Sequential(
            [
                keras.Input((64,)),
                dense(128, activation="relu", name="hidden"),
                dense(10, name="classes"),
                Probe(name="scaled"),
            ]
        )
        self.model.set_weights([weights[name] for name in ORDER])
        optimizer = samestep.keras.build_optimizer(spec, self.model)
        self.model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        self.spec = spec

    def weights(self) -> Weights:
        return {name: np.array(weight) for name, weight in zip(ORDER, self.model.get_weights(), strict=True)}

    def fit(self, initial_epoch: int = 0, stop_after: int = PROBLEM.epochs) -> Trace:
        class Stop(keras.callbacks.Callback):
            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                self.model.stop_training = epoch + 1 == stop_after

        recorder = samestep.keras.TraceRecorder()
        callbacks = [samestep.keras.HyperparameterScheduler(recipe(self.spec)), recorder, Stop()]
        how = {"batch_size": PROBLEM.batch_size, "epochs": PROBLEM.epochs, "shuffle": False, "verbose": 0}
        self.model.fit(*PROBLEM.train, initial_epoch=initial_epoch, callbacks=callbacks, **how)
        return recorder.trace

    def export(self, path: Path) -> None:
        samestep.keras.export_state(path, self.model)

    def go_on(self, path: Path, names: Any) -> Trace:
        return self.fit(samestep.keras.import_state(path, self.model, names))


class Lightning:
    """The network in Lightning."""

    def __init__(self, spec: Spec, weights: Weights) -> None:
        self.model = Network(weights, lambda module: samestep.lightning.build_optimizer(spec, module), [])
        self.spec = spec

    def weights(self) -> Weights:
        return self.model.weights()

    def fit(self, ckpt_path: Path | None = None, stop_after: int = PROBLEM.epochs) -> Trace:
        class Stop(pl.Callback):
            def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
                trainer.should_stop = trainer.current_epoch + 1 == stop_after

        recorder = samestep.lightning.TraceRecorder()
        callbacks = [samestep.lightning.HyperparameterScheduler(recipe(self.spec)), recorder, Stop()]
        quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_model_summary", "enable_progress_bar"), False)
        trainer = pl.Trainer(max_epochs=PROBLEM.epochs, callbacks=callbacks, accelerator="cpu", devices=1, **quiet)
        dataset = torch.utils.data.TensorDataset(*map(torch.tensor, PROBLEM.train))
        loader = torch.utils.data.DataLoader(dataset, batch_size=PROBLEM.batch_size)
        trainer.fit(self.model, loader, ckpt_path=ckpt_path)
        return recorder.trace

    def export(self, path: Path) -> None:
        samestep.lightning.export_state(path, self.model)

    def go_on(self, path: Path, names: Any) -> Trace:
        return self.fit(samestep.lightning.import_state(path, self.model, names))


Side = type[Keras] | type[Lightning]
WAYS: dict[str, tuple[Side, Side, Any]] = {
    "keras to lightning": (Keras, Lightning, OF_KERAS),
    "lightning to keras": (Lightning, Keras, OF_LIGHTNING),
    "keras to keras": (Keras, Keras, None),
}
if keras.backend.backend() == "torch":  # it is the same beside each of them
    WAYS["lightning to lightning"] = (Lightning, Lightning, None)


def apart(ours: Weights, theirs: Weights, start: Weights) -> float:
    """How far two sets of weights are apart, relative to how far they came from where they started."""

    def norm(a: Weights, b: Weights) -> float:
        return float(np.sqrt(sum(((a[name].astype("float64") - b[name]) ** 2).sum() for name in ORDER)))

    return norm(ours, theirs) / norm(theirs, start)


@pytest.fixture(scope="module")
def uninterrupted() -> Callable[[Side, str], tuple[Trace, Weights]]:
    """The trace and the weights of a run that stays in one framework, trained once."""
    known: dict[Any, tuple[Trace, Weights]] = {}

    def train(side: Side, name: str) -> tuple[Trace, Weights]:
        if (side, name) not in known:
            whole = side(SPECS[name], PROBLEM.initial_weights())
            known[side, name] = whole.fit(), whole.weights()
        return known[side, name]

    return train


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("way", WAYS)
def test_the_next_hundred_updates_are_those_of_the_uninterrupted_run(
    way: str, name: str, uninterrupted: Any, tmp_path: Path
) -> None:
    first, second, names = WAYS[way]
    begun = first(SPECS[name], PROBLEM.initial_weights())
    before = begun.fit(stop_after=BEFORE)
    begun.export(tmp_path / "run.npz")
    handed_over = begun.weights()
    continued = second(SPECS[name], handed_over)
    after = continued.go_on(tmp_path / "run.npz", names)
    trace, weights = uninterrupted(first, name)
    assert len(after) >= 100
    assert Trace(before.entries + after.entries).first_difference(trace) is None
    if first is second:
        assert all(np.array_equal(continued.weights()[each], weights[each]) for each in ORDER)
    else:
        # About 1e-6, as two uninterrupted runs of the two frameworks are apart, by whichever kernels the processor has.
        assert apart(continued.weights(), weights, handed_over) < WEIGHT_TOLERANCE


def test_without_the_moments_the_run_would_be_another_one(uninterrupted: Any, tmp_path: Path) -> None:
    begun = Keras(SPECS["adamw"], PROBLEM.initial_weights())
    begun.fit(stop_after=BEFORE)
    fresh = Lightning(SPECS["adamw"], begun.weights())
    begun.export(tmp_path / "run.npz")
    checkpoint = torch.load(samestep.lightning.import_state(tmp_path / "run.npz", fresh.model, OF_KERAS))
    for state in checkpoint["optimizer_states"][0]["state"].values():
        state["exp_avg"].zero_()
    torch.save(checkpoint, tmp_path / "without.ckpt")
    fresh.fit(tmp_path / "without.ckpt")
    assert apart(fresh.weights(), uninterrupted(Keras, "adamw")[1], begun.weights()) > 1e-3


def test_what_cannot_be_handed_over_is_refused_in_a_sentence(tmp_path: Path) -> None:
    spec, path = SPECS["adamw"], tmp_path / "run.npz"
    begun = Keras(spec, PROBLEM.initial_weights())
    with pytest.raises(ValueError, match=r"^export_state: found a training without samestep callbacks; .*\.$"):
        samestep.keras.export_state(path, begun.model)
    with pytest.raises(
        ValueError, match=r"^export_state: found a model that no Trainer has trained; train it first\.$"
    ):
        samestep.lightning.export_state(path, Lightning(spec, begun.weights()).model)
    begun.fit(stop_after=BEFORE)
    begun.export(path)
    other = Lightning(SPECS["nadamw"], begun.weights())
    with pytest.raises(
        ValueError, match=r"^import_state: found the optimizers \['NAdamW'\] in the model and .* in the file; .*\.$"
    ):
        samestep.lightning.import_state(path, other.model, OF_KERAS)
    same = Lightning(spec, begun.weights())
    with pytest.raises(ValueError, match=r"^found parameters .* in the file and .* in the model; give names=.*\.$"):
        samestep.lightning.import_state(path, same.model)
    with pytest.raises(ValueError, match=r"found the shape \(64, 128\) for 'hidden/weight'.*\(1, 0\).*\.$"):
        samestep.lightning.import_state(path, same.model, {**OF_KERAS, "hidden/weight": ("hidden/kernel", (0, 1))})
    with pytest.raises(ValueError, match=r"^found names for \['nowhere'\], which are not parameters of the model.*\.$"):
        samestep.lightning.import_state(path, same.model, {**OF_KERAS, "nowhere": "hidden/bias"})
    stock = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    stock.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"found the optimizer Adam, which build_optimizer did not make.*\.$"):
        samestep.keras.import_state(path, stock)


def test_a_run_within_an_epoch_is_not_exported(tmp_path: Path) -> None:
    messages = []

    class InKeras(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 2:
                with pytest.raises(ValueError, match="within") as caught:
                    samestep.keras.export_state(tmp_path / "run.npz", self.model)
                messages.append(str(caught.value))
                self.model.stop_training = True

    class InLightning(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
            if args[-1] == 2:
                with pytest.raises(ValueError, match="within") as caught:
                    samestep.lightning.export_state(tmp_path / "run.npz", pl_module)
                messages.append(str(caught.value))
                trainer.should_stop = True

    ours, theirs = (
        Keras(SPECS["adamw"], PROBLEM.initial_weights()),
        Lightning(SPECS["adamw"], PROBLEM.initial_weights()),
    )
    callbacks = [samestep.keras.HyperparameterScheduler(Recipe(ours.spec)), InKeras()]
    ours.model.fit(*PROBLEM.train, batch_size=32, verbose=0, callbacks=callbacks)
    dataset = torch.utils.data.TensorDataset(*map(torch.tensor, PROBLEM.train))
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_model_summary", "enable_progress_bar"), False)
    callbacks = [samestep.lightning.HyperparameterScheduler(Recipe(ours.spec)), InLightning()]
    trainer = pl.Trainer(max_epochs=1, limit_train_batches=5, callbacks=callbacks, accelerator="cpu", **quiet)
    trainer.fit(theirs.model, torch.utils.data.DataLoader(dataset, batch_size=32))
    assert messages == ["export_state: found a run within epoch 0; call it at the end of an epoch."] * 2
    assert not (tmp_path / "run.npz").exists()


def test_a_callback_exports_at_the_end_of_each_epoch_and_the_scores_go_over(tmp_path: Path) -> None:
    class InKeras(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            samestep.keras.export_state(tmp_path / f"keras {epoch}.npz", self.model)

    class InLightning(pl.Callback):
        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
            samestep.lightning.export_state(tmp_path / f"lightning {trainer.current_epoch}.npz", pl_module)

    spec = SPECS["adamw"]
    ours, theirs = Keras(spec, PROBLEM.initial_weights()), Lightning(spec, PROBLEM.initial_weights())
    theirs.model.on_train_epoch_start = lambda: theirs.model.log("loss", float(theirs.model.current_epoch))
    how: dict[str, Any] = {"factor": 0.5, "patience": 0}
    callbacks = [samestep.keras.HyperparameterScheduler(recipe(spec)), samestep.keras.ReduceOnPlateau("loss", **how)]
    ours.model.fit(*PROBLEM.train, batch_size=32, epochs=2, shuffle=False, verbose=0, callbacks=[*callbacks, InKeras()])
    callbacks = [
        samestep.lightning.HyperparameterScheduler(recipe(spec)),
        samestep.lightning.ReduceOnPlateau("loss", **how),
    ]
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_model_summary", "enable_progress_bar"), False)
    trainer = pl.Trainer(max_epochs=2, callbacks=[*callbacks, InLightning()], accelerator="cpu", devices=1, **quiet)
    dataset = torch.utils.data.TensorDataset(*map(torch.tensor, PROBLEM.train))
    trainer.fit(theirs.model, torch.utils.data.DataLoader(dataset, batch_size=32))
    for framework in ("keras", "lightning"):
        for epoch in (0, 1):
            found = read(tmp_path / f"{framework} {epoch}.npz")
            assert found.saved.position(0) == (epoch + 1, 0)
            assert {each.updates for each in found.parameters.values()} == {44 * (epoch + 1)}
            _, reducer = found.saved.optimizers[0].drivers
            assert [score[0] for score in reducer.state] == list(range(epoch + 1)), framework

    continued = Lightning(spec, ours.weights())
    checkpoint = samestep.lightning.import_state(tmp_path / "keras 1.npz", continued.model, OF_KERAS)
    plateau = samestep.lightning.ReduceOnPlateau("loss", **how)
    continued.model.on_train_epoch_start = lambda: continued.model.log("loss", 10.0)
    callbacks = [samestep.lightning.HyperparameterScheduler(recipe(spec)), plateau]
    trainer = pl.Trainer(max_epochs=3, callbacks=callbacks, accelerator="cpu", devices=1, **quiet)
    with pytest.warns(UserWarning, match="percentages still refer to 2 epochs"):
        trainer.fit(continued.model, torch.utils.data.DataLoader(dataset, batch_size=32), ckpt_path=checkpoint)
    assert plateau.scores == {**dict(map(tuple, reducer_of(tmp_path / "keras 1.npz"))), 2: 10.0}


def reducer_of(path: Path) -> Any:
    """The scores in a file."""
    return read(path).saved.optimizers[0].drivers[1].state
