"""Checkpoints of Lightning that older versions wrote load for ever; see tests/states/README.md."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from samestep import AdamW, CosineDecay, LinearDecay, Position, Recipe, Trace, Warmup, epochs, percent, updates
from samestep.core.checkpoints.saved import Saved
from samestep.lightning import HyperparameterScheduler, TraceRecorder, build_optimizer

from .two_weights import trainer

STATES = Path(__file__).parents[1] / "states"
RECIPE = Recipe(
    AdamW(learning_rate=0.1, weight_decay=0.05),
    learning_rate=Warmup(over=updates(3), start=0.25) * CosineDecay(over=percent(100), end=0.1),
    weight_decay=LinearDecay(over=epochs(3), end=0.2),
)
OTHER = Recipe(RECIPE.optimizer, RECIPE.learning_rate)


class Module(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
        return self.layer(batch).square().mean()

    def configure_optimizers(self) -> Any:
        return build_optimizer(RECIPE.optimizer, self)  # type: ignore[arg-type]


def train(recipe: Recipe, path: Path | None = None) -> tuple[Trace, dict[str, torch.Tensor]]:
    module, recorder = Module(), TraceRecorder()
    data = torch.utils.data.DataLoader(torch.ones(4, 2))
    options = {"ckpt_path": None if path is None else str(path), "weights_only": path and True}
    trainer(HyperparameterScheduler(recipe), recorder).fit(module, data, **options)
    return recorder.trace, copy.deepcopy(module.state_dict())


def state(version: int) -> tuple[Path, Any]:
    path = STATES / f"lightning_{version}.ckpt"
    found: Any = torch.load(path, weights_only=True)["samestep"]
    assert found["version"] == version, "the file is not to be written again"
    return path, found


@pytest.mark.parametrize("version", [1, 2])
def test_a_run_goes_on_from_where_an_older_version_left_it_as_if_never_interrupted(version: int) -> None:
    path, found = state(version)
    assert Saved.from_dict(found).position(0) == Position(1, 2)
    whole, left = train(RECIPE)
    rest, left_by_rest = train(RECIPE, path)
    assert rest.entries[0].position == Position(1, 2)
    assert rest.entries == whole.entries[6:]
    # The first six updates may have been those of another machine, whose sums are rounded otherwise.
    torch.testing.assert_close(left_by_rest, left, rtol=1e-6, atol=1e-7)


def test_version_1_knows_no_recipe_and_goes_on_by_any() -> None:
    path, _ = state(1)
    trace, _ = train(OTHER, path)
    assert trace.column("weight_decay") == [0.05] * 6


def test_version_2_knows_the_recipe_and_the_length() -> None:
    path, _ = state(2)
    with pytest.raises(
        ValueError,
        match=r"\(epoch 1, update 2\) that was trained with different settings: recipe\.weight_decay was LinearDecay\(",
    ):
        train(OTHER, path)
