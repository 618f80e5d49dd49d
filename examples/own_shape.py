"""Write your own schedule: a frozen dataclass of ten lines, which can do everything the built-in ones can.

python examples/own_shape.py
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from samestep import Curve, DurationLike, Ramp, Recipe, Schedule, Ticks, epochs, updates


# A shape with a length derives from Ramp, which has `over` and `inclusive`, and gives the values between its ends.
@dataclass(frozen=True, repr=False)
class SigmoidDecay(Ramp):
    """From about 1 down to `end` along a sigmoid."""

    end: float = 0.0
    steepness: float = 10.0

    def between(self, tau: float, left: float) -> float:
        return self.end + (1.0 - self.end) / (1.0 + math.exp(self.steepness * (tau - 0.5)))


# Any other shape derives from Schedule and turns its fields into a function of the time t, all in ticks.
@dataclass(frozen=True, repr=False)
class Sawtooth(Schedule):
    """From 1 down to `low` in each period, then back up at once."""

    every: DurationLike
    low: float = 0.5

    def curve(self, ticks: Ticks) -> Curve:
        every, depth = ticks(self.every), 1.0 - self.low
        return lambda t: 1.0 - depth * (t % every) / every


def main() -> None:
    # Units, gates, bounds, products, restarts.
    schedule = SigmoidDecay(over="100% - 8 updates", end=0.1).after(updates(8)) * Sawtooth(every="1 epoch", low=0.8)
    print(f"its repr is source code:\n  {schedule!r}\n")

    text = json.dumps(schedule.to_dict())
    print(f"as JSON and back:\n  {text}\n  equal: {Schedule.from_dict(json.loads(text)) == schedule}\n")

    plan = Recipe(learning_rate=schedule).plan(updates_per_epoch=4, epochs=6)
    print("multiples of the base learning rate:")
    for epoch in range(6):
        print(f"  epoch {epoch}: " + " ".join(f"{eta:.4f}" for eta in plan.values("learning_rate", epoch, base=1.0)))

    print("\nrestarted, each cycle twice as long and half as high:")
    again = SigmoidDecay(over=epochs(1)).repeat(epochs(1), growth=2, decay=0.5)
    print("  " + " ".join(f"{eta:.4f}" for eta in again.preview(epochs=7)))

    try:
        Sawtooth(every=5)  # type: ignore[arg-type]
    except TypeError as error:
        print(f"\nfields are checked:\n  {error}")


if __name__ == "__main__":
    main()
