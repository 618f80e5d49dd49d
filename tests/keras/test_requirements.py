"""A private name that Keras has dropped is named, with what it is for, when samestep.keras is imported."""

from __future__ import annotations

import subprocess
import sys

import keras

DROPPED = """
import keras.src.layers.rnn.conv_lstm
del keras.src.layers.rnn.conv_lstm.ConvLSTMCell
import samestep.keras
"""


def test_a_dropped_private_name_is_named_with_what_it_is_for() -> None:
    done = subprocess.run([sys.executable, "-c", DROPPED], capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: samestep.keras: found no keras.src.layers.rnn.conv_lstm.ConvLSTMCell, which")
    assert "the role of its parameters; install Keras 3." in last
    assert last.endswith(f"instead of {keras.__version__}, or upgrade samestep.")
