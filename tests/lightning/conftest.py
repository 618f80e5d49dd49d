"""What every test of Lightning begins with."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import resume_lightning
from lightning_fabric.utilities.warnings import PossibleUserWarning

from .tiny_training import AfterEveryBatch


@pytest.fixture(scope="session")
def killed_runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], resume_lightning.Runs]:
    """The runs of some settings, killed and resumed in processes of their own; what they share is made once."""
    folder = tmp_path_factory.mktemp("killed")
    return cache(lambda settings: resume_lightning.Runs(folder, settings))


@pytest.fixture
def saver(tmp_path: Path) -> AfterEveryBatch:
    """Saves a checkpoint after every batch."""
    return AfterEveryBatch(tmp_path)


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning", "lightning.pytorch")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PossibleUserWarning)
        for message in (".*LeafSpec", ".*callbacks used to create the checkpoint", "The dirpath has changed"):
            warnings.filterwarnings("ignore", message)
        yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
