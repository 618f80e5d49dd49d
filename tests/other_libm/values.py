"""Many values of the core, the same in each Python that runs this: `python values.py COMPOSITIONS OUT [FAMILY]`.

COMPOSITIONS is a JSON file of recipes and clocks. OUT becomes a pickle of {family: array of float64}.
"""

from __future__ import annotations

import json
import pickle
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path

from samestep import (
    Clock,
    CosineDecay,
    ExponentialDecay,
    InverseSqrtDecay,
    InverseTimeDecay,
    LinearDecay,
    MultiStepDecay,
    Normalized,
    ParameterRule,
    Plateau,
    PolynomialDecay,
    Position,
    Recipe,
    RexDecay,
    Schedule,
    StepDecay,
    Table,
    TanhDecay,
    Triangular,
    Warmup,
    epochs,
    noam,
    one_cycle,
    percent,
    sequence,
    updates,
    warmup_stable_decay,
)
from samestep.core.policies.gated_decay import GatedDecayPolicy
from samestep.core.specs.parameter_rules import Parameter, assign
from tests.core.epoch_functions import FUNCTIONS

GOLDEN = Path(__file__).parents[1] / "golden"
Values = Iterator[tuple[str, list[float]]]

SHAPES: dict[str, list[Schedule]] = {
    "StepDecay": [StepDecay(factor, every=epochs(1)) for factor in (0.1, 0.5, 0.94, 0.97, 0.999, 1.01)],
    "MultiStepDecay": [MultiStepDecay(0.2, at=[epochs(30), percent(60), updates(80_000)])],
    "ExponentialDecay": [ExponentialDecay(factor, every=epochs(1)) for factor in (0.5, 0.9, 0.96, 0.999, 1.05)],
    "ExponentialDecay, per update": [ExponentialDecay(factor, every=updates(1)) for factor in (0.9999, 0.99997)],
    "InverseTimeDecay": [InverseTimeDecay(rate, every=updates(1)) for rate in (1e-2, 1e-3, 1e-6)],
    "InverseSqrtDecay": [InverseSqrtDecay(updates(100)), InverseSqrtDecay(epochs("2.5"))],
    "LinearDecay": [LinearDecay("100%"), LinearDecay("33%", start=0.3, end=0.7)],
    "PolynomialDecay": [PolynomialDecay("100%", power) for power in (0.5, 0.9, 2.0, 3.0)],
    "PolynomialDecay, k_decay": [PolynomialDecay("100%", power, 0.01, k_decay=k) for power, k in ((1, 0.5), (2, 3))],
    "CosineDecay": [CosineDecay("100%", end=end) for end in (0.0, 0.01, 0.1)],
    "CosineDecay, upwards": [CosineDecay("100%", start=0.04, end=1.0)],
    "CosineDecay, k_decay": [CosineDecay("100%", k_decay=k) for k in (0.5, 1.5, 2.0)],
    "TanhDecay": [TanhDecay("100%"), TanhDecay("100%", 0.05, -4.0, 4.0)],
    "TanhDecay, far up": [TanhDecay("100%", upper=upper) for upper in (7.0, 10.0, 18.0)],
    "RexDecay": [RexDecay("100%")],
    "Warmup": [Warmup("100%"), Warmup("70%", start=0.1)],
    "Triangular": [Triangular(updates(2000), mode="triangular"), Triangular(updates(2000), mode="triangular2")],
    "Triangular, exp_range": [Triangular(updates(2000), start=0.1, mode="exp_range", gamma=0.99994)],
    "Table": [Table([0.1, 1.0, 0.5], every=epochs(20))],
    "Normalized": [Normalized(), Normalized("37%")],
    "one_cycle": [one_cycle(), one_cycle(three_phase=True), one_cycle(inclusive=True)],
    "warmup_stable_decay": [
        warmup_stable_decay(warmup="2%", cooldown="20%", anneal=anneal) for anneal in ("linear", "cosine", "1-sqrt")
    ],
    "noam": [noam(updates(4000))],
    "warm restarts": [
        CosineDecay(epochs(7)).repeat(epochs(7), growth, decay)
        for growth, decay in ((1, 0.9), (1.5, 0.7), (2, 1), (1.1, 0.95))
    ],
    "normalized decay with warm restarts": [
        Normalized(epochs(7)).repeat(epochs(7), 2) * CosineDecay(epochs(7)).repeat(epochs(7), 2)
    ],
    "warmup, cosine, bounds": [
        sequence(Warmup(updates(500)), (updates(500), CosineDecay("100% - 500 updates"))).at_least(0.03).at_most(0.9)
    ],
    "product": [Warmup(updates(500)) * ExponentialDecay(0.97, every=epochs("2.4")) * CosineDecay("100%", end=0.1)],
}
BASES = (1e-3, 3e-4, 0.05, 0.9)
PER_EPOCH, RUN, LONG, WINDOW = 1000, 100_000, 10**9, 3000  # updates


def golden() -> Values:
    for row in json.loads((GOLDEN / "schedules.json").read_text()):
        yield "golden tables", Recipe.from_dict(row["recipe"]).plan(**row["clock"]).values(row["hyperparameter"])
    for row in json.loads((GOLDEN / "epoch_gated_decay.json").read_text()):
        drops = row.pop("drops")
        for factor, floor in ((0.5, 0.0), (0.94, 1e-4), (1 / 3, 1e-6)):
            policy = GatedDecayPolicy(factor, **row, floor=floor, who="EpochGatedDecay")
            policy.prepare(Clock(4, 10 * len(drops)))
            positions = [Position(epoch) for epoch in range(10 * len(drops))]
            yield "gated decay", [policy.value("learning_rate", 1e-3, position) for position in positions]


def plateaus() -> Values:
    for factor in (0.1, 0.2, 0.5, 0.9, 0.97):
        plateau = Plateau(factor=factor, floor=1e-9)
        for reductions in range(200):
            yield "plateau", plateau.reduced([1e-3, 3.3e-4, 1e-10], reductions)


def layers() -> Values:
    paths = [f"blocks/{number}/kernel" for number in range(48)]
    for decay in (0.65, 0.75, 0.8, 0.9, 0.95):
        rule = ParameterRule(depth=["blocks/*/**"], learning_rate=decay)
        assigned = assign([rule], 0.0, [Parameter(path, (2, 2), "kernel") for path in paths])
        yield "layer-wise decay", [1e-3 * each.multipliers.learning_rate for each in assigned]


def shapes(only: str) -> Values:
    """Every update of a run of 100,000, and the beginning, the end and an even sample of one of 10^9."""
    for family, schedules in SHAPES.items():
        if only not in ("", family):
            continue
        for schedule, base in zip(schedules, BASES * len(schedules), strict=False):
            recipe = Recipe(learning_rate=schedule.at_most(1e9))
            yield family, recipe.plan(PER_EPOCH, RUN // PER_EPOCH).between("learning_rate", 0, RUN, base)
            long = recipe.plan(LONG // 1000, 1000)
            for begin, every in ((0, 1), (LONG // 3, 1), (LONG - WINDOW, 1), (0, LONG // WINDOW)):
                yield family, long.between("learning_rate", begin, begin + WINDOW * every, base, every)


def beyond() -> Values:
    """Products of factors that no float holds."""
    for low in (1e-3, 0.0499):
        product = ExponentialDecay(low, every=updates(9)) * ExponentialDecay(1 / low, every=updates(9))
        plan = Recipe(learning_rate=product).plan(PER_EPOCH, RUN // PER_EPOCH)
        yield "product of factors beyond float64", plan.between("learning_rate", 0, RUN, 1e-3, 97)


def compositions(file: str) -> Values:
    for row in json.loads(Path(file).read_text()):
        schedule, clock = Schedule.from_dict(row["schedule"], FUNCTIONS), Clock(*row["clock"])
        plan = Recipe(learning_rate=schedule).plan(clock.updates_per_epoch, clock.epochs)
        yield "random compositions", plan.between("learning_rate", 0, plan.updates(), row["base"])


def main(file: str, out: str, only: str = "") -> None:
    found: dict[str, array[float]] = {}
    for values in (golden(), plateaus(), layers(), shapes(only), beyond(), compositions(file)):
        for family, each in values:
            if only in ("", family):
                found.setdefault(family, array("d")).extend(each)
    Path(out).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
