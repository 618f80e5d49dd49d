"""What runs the long sweeps chooses their cases evenly and takes nothing that went wrong for a success."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sweep import Case, Sweep, choose, outcomes


def cases(folder: Path) -> Iterable[Case]:
    def fail() -> str:
        raise KeyError(folder.name)

    for number in range(10):
        yield Case("first", str(number), str)
    yield Case("second", "differs", lambda: "1 and not 2")
    yield Case("second", "raises", fail, count=5)


SWEEP = Sweep("made-up", cases)


def test_a_sample_is_spread_over_each_row(tmp_path: Path) -> None:
    assert [case.name for case in choose(SWEEP, tmp_path, sample=4)] == ["0", "2", "5", "7", "differs", "raises"]
    assert len(choose(SWEEP, tmp_path)) == 12


def test_what_differs_and_what_raises_is_a_failure_that_can_be_tried_again(tmp_path: Path) -> None:
    found = list(outcomes(SWEEP, choose(SWEEP, tmp_path), jobs=2))
    failures = {outcome.case.name: outcome for outcome in found if outcome.failure}
    assert len(found) == 12
    assert failures.keys() == {"differs", "raises"}
    assert failures["differs"].failure == "1 and not 2"
    assert f"KeyError: {tmp_path.name!r}" in failures["raises"].failure
    assert failures["raises"].reproducer == '.venv/bin/python tests/soak --only made-up --case "second: raises"'
    assert [case.name for case in choose(SWEEP, tmp_path, case="second: raises")] == ["raises"]
