"""A tiny training in each framework, by public names: the learning rates that its updates used are printed."""

RECIPE = """
from samestep import AdamW, Recipe, StepDecay
recipe = Recipe(AdamW(learning_rate=1.0), learning_rate=StepDecay(0.5, every="1 epoch"))
"""

PLAN = (
    RECIPE
    + """
print([recipe.plan(updates_per_epoch=1, epochs=3).value("learning_rate", epoch, 0) for epoch in range(3)])
"""
)

TORCH = (
    RECIPE
    + """
import torch
from samestep.torch import build_optimizer
model = torch.nn.Linear(1, 1)
optimizer = build_optimizer(recipe.optimizer, model)
model(torch.ones(1, 1)).sum().backward()
optimizer.step()
print([group["lr"] for group in optimizer.param_groups][:1])
"""
)

LIGHTNING = (
    RECIPE
    + """
import torch
import {lightning} as pl
from samestep.lightning import HyperparameterScheduler, TraceRecorder, build_optimizer

class Model(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        return self.layer(batch).sum()

    def configure_optimizers(self):
        return build_optimizer(recipe, self)

recorder = TraceRecorder()
trainer = pl.Trainer(
    callbacks=[HyperparameterScheduler(recipe), recorder], max_epochs=3, accelerator="cpu", logger=False,
    enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
)
trainer.fit(Model(), torch.utils.data.DataLoader(torch.ones(1, 1)))
print(recorder.trace.column("learning_rate"))
"""
)

KERAS = (
    RECIPE
    + """
import keras
import numpy as np
from samestep.keras import HyperparameterScheduler, TraceRecorder, build_optimizer
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
model.compile(build_optimizer(recipe, model), "mse")
recorder = TraceRecorder()
callbacks = [HyperparameterScheduler(recipe), recorder]
model.fit(np.ones((1, 1)), np.ones((1, 1)), epochs=3, verbose=0, callbacks=callbacks)
print(recorder.trace.column("learning_rate"))
"""
)

CHECK = (
    RECIPE
    + """
from samestep.parity import check
check(recipe)
"""
)

RATES = "[1.0, 0.5, 0.25]"
