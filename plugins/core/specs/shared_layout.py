"""How the numbers of a parameter lie, told in a way that every framework can read."""

from __future__ import annotations

from typing import NamedTuple

SECOND_BIAS = "recurrent_bias"
"""The shared name of the bias that torch's RNN and LSTM have and Keras' do not."""


class Part(NamedTuple):
    """One of the parts of which a parameter consists, and how it lies in the shared layout, which is Keras'.

    Attributes:
        name: Its path in the shared names, such as "attention/query/kernel".
        shape: Its shape in the shared layout.
        axes: The order in which the parameter's axes lie there; all in their own order if empty.
        blocks: The ranges of the parameter's first axis that it takes, in the order in which they lie there; the whole
            axis if empty.
    """

    name: str
    shape: tuple[int, ...]
    axes: tuple[int, ...] = ()
    blocks: tuple[tuple[int, int], ...] = ()

    def within(self, prefix: str) -> Part:
        """The part of a layer that lies in others."""
        return self._replace(name=f"{prefix}{self.name}")


Layout = tuple[Part, ...]
"""The parts of a parameter, which together are all of it."""
