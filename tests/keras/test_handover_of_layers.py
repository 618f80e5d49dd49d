"""An attention and a recurrent layer, begun in one framework and continued in the other; and what cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

import samestep.keras
import samestep.lightning
from samestep import SGDW, LinearDecay, Recipe
from samestep.core.checkpoints.saved import Saved
from samestep.exchange import Exchange, ParameterState, mapped, read, write
from samestep.keras.parameters import parameters as keras_parameters
from samestep.keras.shared_layouts import layouts as keras_layouts
from samestep.parity.result import WEIGHT_TOLERANCE
from samestep.torch.parameters import parameters as torch_parameters
from samestep.torch.shared_layouts import layouts as torch_layouts

WIDTH, HEADS, LENGTH, EPOCHS, BEFORE = 4, 2, 5, 4, 2  # a run is handed over after BEFORE epochs
RECIPE = Recipe(SGDW(0.05, 0.1, 0.9), learning_rate=LinearDecay("100%", end=0.1))
layers = keras.layers
Arrays = dict[str, np.ndarray]
RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.standard_normal((16, LENGTH, WIDTH)).astype("float32")
TARGETS = RANDOM.standard_normal((16, 1)).astype("float32")


class InKeras(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.attention = layers.MultiHeadAttention(HEADS, WIDTH // HEADS)
        self.lstm = layers.LSTM(WIDTH)
        self.head = layers.Dense(1)

    def call(self, x: Any) -> Any:
        return self.head(self.lstm(self.attention(x, x)))


class InLightning(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.lstm = nn.LSTM(WIDTH, WIDTH, batch_first=True)
        self.head = nn.Linear(WIDTH, 1)
        self.lstm.bias_hh_l0.requires_grad_(False).zero_()

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        x, y = batch
        return ((self.head(self.lstm(self.attention(x, x, x)[0])[0][:, -1]) - y) ** 2).mean()

    def configure_optimizers(self) -> Any:
        return samestep.lightning.build_optimizer(RECIPE.optimizer, self)  # type: ignore[arg-type]


class Keras:
    """The network in Keras; `weights` has them as torch's module has."""

    def __init__(self, weights: Arrays) -> None:
        self.model = InKeras()
        self.model(INPUTS[:1])
        self.variables = {described.path: variable for described, variable in keras_parameters(self.model)}
        shapes = {path: tuple(variable.shape) for path, variable in self.variables.items()}
        for path, state in mapped(of_arrays(weights, OF_TORCH), shapes, None, keras_layouts(self.model)).items():
            self.variables[path].assign(state.moments["weight"])
        self.model.compile(samestep.keras.build_optimizer(RECIPE.optimizer, self.model), "mse")  # type: ignore[arg-type]

    def weights(self) -> Arrays:
        arrays = {path: np.array(keras.ops.convert_to_numpy(each)) for path, each in self.variables.items()}
        shapes = {path: array.shape for path, array in START.items()}
        found = mapped(of_arrays(arrays, keras_layouts(self.model)), shapes, None, OF_TORCH)
        return {path: np.array(state.moments["weight"]) for path, state in found.items()}

    def fit(self, initial_epoch: int = 0, export: Path | None = None) -> None:
        def at_end(epoch: int, logs: Any) -> None:
            if export and epoch + 1 == BEFORE:
                samestep.keras.export_state(export, self.model)
                self.handed_over = self.weights()

        callbacks = [
            samestep.keras.HyperparameterScheduler(RECIPE),
            keras.callbacks.LambdaCallback(on_epoch_end=at_end),
        ]
        how: dict[str, Any] = {"batch_size": 4, "shuffle": False, "verbose": 0, "epochs": EPOCHS}
        self.model.fit(INPUTS, TARGETS, initial_epoch=initial_epoch, callbacks=callbacks, **how)

    def go_on(self, path: Path) -> None:
        self.fit(samestep.keras.import_state(path, self.model))


class Lightning:
    """The network in Lightning."""

    def __init__(self, weights: Arrays) -> None:
        self.model = InLightning()
        for described, parameter in torch_parameters(self.model):
            parameter.data = torch.tensor(weights[described.path])

    def weights(self) -> Arrays:
        return {described.path: each.detach().numpy().copy() for described, each in torch_parameters(self.model)}

    def fit(self, ckpt_path: Path | None = None, export: Path | None = None) -> None:
        def at_end(*_: Any) -> None:
            if export and trainer.current_epoch + 1 == BEFORE:
                samestep.lightning.export_state(export, self.model)
                self.handed_over = self.weights()

        quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_model_summary", "enable_progress_bar"), False)
        callbacks = [
            samestep.lightning.HyperparameterScheduler(RECIPE),
            pl.callbacks.LambdaCallback(on_train_epoch_end=at_end),
        ]
        trainer = pl.Trainer(max_epochs=EPOCHS, callbacks=callbacks, accelerator="cpu", devices=1, **quiet)
        data = torch.utils.data.TensorDataset(torch.tensor(INPUTS), torch.tensor(TARGETS))
        trainer.fit(self.model, torch.utils.data.DataLoader(data, batch_size=4), ckpt_path=ckpt_path)

    def go_on(self, path: Path) -> None:
        self.fit(samestep.lightning.import_state(path, self.model))


def of_arrays(arrays: Arrays, layouts: Any) -> Exchange:
    return Exchange(Saved(0), {}, {path: ParameterState(0, {"weight": each}) for path, each in arrays.items()}, layouts)


torch.manual_seed(0)
OF_TORCH = torch_layouts(InLightning())
START = {described.path: each.detach().numpy() for described, each in torch_parameters(InLightning())}


def apart(ours: Arrays, theirs: Arrays, start: Arrays) -> float:
    def norm(a: Arrays, b: Arrays) -> float:
        return float(np.sqrt(sum(((a[name].astype("float64") - b[name]) ** 2).sum() for name in START)))

    return norm(ours, theirs) / norm(theirs, start)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Any]:
    """A run in each framework that was not interrupted, and the file that it wrote on its way."""
    runs = {}
    for side in (Keras, Lightning):
        run, path = side(START), tmp_path_factory.mktemp("runs") / "run.npz"
        run.fit(export=path)
        assert all((moment != 0).any() for state in read(path).parameters.values() for moment in state.moments.values())
        runs[side] = run, path
    return runs


@pytest.mark.parametrize(("begun_in", "continued_in"), [(Keras, Lightning), (Lightning, Keras)])
def test_a_run_of_attention_and_recurrent_layers_continues_in_the_other_framework(
    begun_in: Any, continued_in: Any, whole: Any
) -> None:
    run, path = whole[begun_in]
    continued = continued_in(run.handed_over)
    continued.go_on(path)
    assert apart(continued.weights(), run.weights(), run.handed_over) < WEIGHT_TOLERANCE


def test_moments_that_are_mixed_up_would_be_seen(whole: Any, tmp_path: Path) -> None:
    """The query's moments as the value's: another run."""
    run, path = whole[Keras]
    exchange = read(path)
    states = dict(exchange.parameters)
    query, value = "attention/query/kernel", "attention/value/kernel"
    states[query], states[value] = states[value], states[query]
    write(tmp_path / "run.npz", Exchange(exchange.saved, exchange.kinds, states, exchange.layouts))
    continued = Lightning(run.handed_over)
    continued.go_on(tmp_path / "run.npz")
    assert apart(continued.weights(), run.weights(), run.handed_over) > 1e-3
