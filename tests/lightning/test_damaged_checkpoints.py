"""A bit that is turned anywhere in a checkpoint of Lightning: its state is the one that was written, or is refused."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import torch

from samestep.core.checkpoints.saved import KEY, Saved

CHECKPOINT = Path(__file__).parents[1] / "states" / "lightning_2.ckpt"


def test_no_turned_bit_makes_another_state() -> None:
    content = CHECKPOINT.read_bytes()
    written = Saved.from_dict(torch.load(CHECKPOINT, weights_only=True)[KEY])
    found: Counter[str] = Counter()
    for at in range(0, len(content), 3):
        damaged = content[:at] + bytes([content[at] ^ (1 << at % 8)]) + content[at + 1 :]
        try:
            loaded = torch.load(io.BytesIO(damaged), weights_only=True)
        except Exception:  # torch sees it, in many ways
            found["by torch"] += 1
            continue
        if not isinstance(loaded, dict) or KEY not in loaded:
            found["nothing there"] += 1
            continue
        try:
            assert Saved.from_dict(loaded[KEY]) == written, at
            found["as written"] += 1
        except ValueError:
            found["by samestep"] += 1
    # The weights and the moments have no digest. The name of the state may be hit, and there is none then.
    assert found["by samestep"] > 100
    assert found["nothing there"] <= len(KEY)
