"""A private name that torch has dropped is named, with what it is for, when a room is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

DROPPED = """
from importlib import import_module
del import_module("torch.optim.optimizer")._default_to_fused_or_foreach
import samestep.{room}
"""


@pytest.mark.parametrize("room", ["torch", "lightning"])
def test_a_dropped_private_name_is_named_with_what_it_is_for(room: str) -> None:
    done = subprocess.run([sys.executable, "-c", DROPPED.format(room=room)], capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: samestep.torch: found no torch.optim.optimizer._default_to_fused_or_foreach")
    assert "whether fused kernels take some weights; install torch 2." in last
    assert last.endswith(f"instead of {torch.__version__}, or upgrade samestep.")
