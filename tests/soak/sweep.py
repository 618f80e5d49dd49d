"""A sweep: one guarantee, and the many cases that it must hold in, each by itself.

A new one is a module with a `SWEEP`, which `__main__.py` has in its list.
"""

from __future__ import annotations

import logging
import multiprocessing
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import groupby
from multiprocessing import connection
from pathlib import Path
from typing import Any, NamedTuple

_ASKING = threading.Lock()  # whoever starts a process asks for the state of all of them, which can be read only once
MODULES = ["pytorch_lightning", "samestep.lightning"]  # what a fresh process has imported before it does anything


class Case(NamedTuple):
    """Something to try: `check` says what was wrong, in words, or nothing at all.

    settings: what it shares with the other cases of a row in the table. name: what tells it from these.
    count: how many inputs it tries.
    """

    settings: str
    name: str
    check: Callable[[], str]
    count: int = 1


class Sweep(NamedTuple):
    """A guarantee by its name, and what makes its cases, of one row after the other, given a folder for their files."""

    name: str
    cases: Callable[[Path], Iterable[Case]]


class Outcome(NamedTuple):
    """What came of a case."""

    sweep: str
    case: Case
    failure: str
    seconds: float

    @property
    def reproducer(self) -> str:
        """What to run for this case alone."""
        return f'.venv/bin/python tests/soak --only {self.sweep} --case "{self.case.settings}: {self.case.name}"'


def choose(sweep: Sweep, folder: Path, case: str | None = None, sample: int | None = None) -> list[Case]:
    """Those cases of a sweep whose settings and name are `case`, at most `sample` of each row, spread evenly."""
    chosen: list[Case] = []
    for _, row in groupby(sweep.cases(folder), lambda each: each.settings):
        cases = [each for each in row if case in (None, f"{each.settings}: {each.name}")]
        count = len(cases) if sample is None else min(sample, len(cases))
        chosen += [cases[index * len(cases) // count] for index in range(count)]
    return chosen


def outcomes(sweep: Sweep, cases: Iterable[Case], jobs: int) -> Iterator[Outcome]:
    """What comes of the cases, each as soon as it is known; `jobs` of them run side by side."""

    def run(case: Case) -> Outcome:
        begun = time.perf_counter()
        try:
            failure = case.check()
        except Exception:
            failure = traceback.format_exc()
        return Outcome(sweep.name, case, failure, time.perf_counter() - begun)

    with ThreadPoolExecutor(jobs) as pool:
        for future in as_completed([pool.submit(run, case) for case in cases]):
            yield future.result()


def in_fresh_process(function: Callable[..., None], *arguments: Any) -> None:
    """Call a function of a module where nothing has happened but imports.

    Raises RuntimeError, with the traceback, where it fails.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(MODULES)
    with tempfile.TemporaryDirectory() as folder:
        errors = Path(folder) / "errors"
        process = context.Process(target=_call, args=(errors, function, arguments), daemon=True)
        with _ASKING:
            process.start()
        connection.wait([process.sentinel])  # for as long as it takes, without keeping others from asking
        with _ASKING:
            process.join()
        if process.exitcode != 0:
            what = errors.read_text() if errors.exists() else f"exit status {process.exitcode}"
            raise RuntimeError(f"{function.__name__}{arguments} failed: {what}")


def _call(errors: Path, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    logging.disable(logging.WARNING)
    try:
        function(*arguments)
    except BaseException:
        errors.write_text(traceback.format_exc())
        raise SystemExit(1) from None
