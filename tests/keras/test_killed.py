"""A sample of what `make soak` does: SIGKILL at a batch, and a fresh process that goes on."""

from __future__ import annotations

from pathlib import Path

import keras
import killed_keras
import pytest


@pytest.mark.parametrize(("save_freq", "kill"), [("epoch", (1, 2)), (1, (2, 1))])
def test_a_killed_training_goes_on_as_if_it_had_not_been(
    save_freq: int | str, kill: tuple[int, int], tmp_path: Path
) -> None:
    assert killed_keras.check(tmp_path, keras.backend.backend(), save_freq, kill) == ""
