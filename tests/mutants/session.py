"""One pytest session for all mutants: collected once, then a forked process per mutant runs the tests that reach it."""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from itertools import groupby, zip_longest
from pathlib import Path
from typing import NamedTuple

import coverage
import hypothesis
import pytest
from _pytest.runner import runtestprotocol
from mutations import Mutant
from swapped import Functions, NotPossibleError

KILLED, SURVIVED, UNREACHED, NOT_POSSIBLE, TIMEOUT = "killed", "survived", "unreached", "not possible", "timeout"
_STATUS = {0: SURVIVED, 1: KILLED, 2: NOT_POSSIBLE}
_EXTRA_MEMORY = 2 << 30


class Reach(NamedTuple):
    """Which tests run a line of a file, and how many seconds each test takes."""

    tests: dict[str, dict[str, list[str]]]
    seconds: dict[str, float]

    def of(self, mutant: Mutant) -> list[str]:
        """The tests that run a mutant's line: the quickest of each file first, then the second of each, and so on."""
        found = self.tests.get(mutant.file, {}).get(str(mutant.line), [])
        files = groupby(sorted(found), key=lambda name: name.partition("::")[0])
        queues = [sorted(names, key=lambda name: self.seconds[name]) for _, names in files]
        return [name for row in zip_longest(*queues) for name in row if name is not None]


class _Session:
    """What both sessions share: collection, and examples of hypothesis that are the same each time and few."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile(
            "mutants", hypothesis.settings(), phases=phases, derandomize=True, max_examples=25, database=None
        )
        hypothesis.settings.load_profile("mutants")


class Measuring(_Session):
    """Runs each test once, and records the lines that it reaches."""

    def __init__(self, root: Path) -> None:
        self.root, self.seconds = root, dict[str, float]()
        self.coverage = coverage.Coverage(data_file=None, config_file=False, source=[str(root)])

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        for item, following in zip(session.items, [*session.items[1:], None], strict=True):
            begun = time.process_time()
            self.coverage.start()
            self.coverage.switch_context(item.nodeid)
            failed = any(report.failed for report in runtestprotocol(item, log=False, nextitem=following))
            self.coverage.stop()
            if failed:
                print(f"left out, since it fails without a mutant: {item.nodeid}", file=sys.__stdout__)
            else:
                self.seconds[item.nodeid] = time.process_time() - begun
        return True

    def reach(self) -> Reach:
        """What was recorded."""
        data, tests = self.coverage.get_data(), {}
        for path in data.measured_files():
            lines = data.contexts_by_lineno(path)
            file = str(Path(path).resolve().relative_to(self.root))
            tests[file] = {str(n): [name for name in names if name in self.seconds] for n, names in lines.items()}
        return Reach(tests, self.seconds)


class Killing(_Session):
    """Runs the tests for each mutant in a process of its own, `jobs` at a time."""

    def __init__(self, root: Path, mutants: Sequence[Mutant], reach: Reach, jobs: int, seconds: float) -> None:
        self.root, self.mutants, self.reach, self.jobs, self.seconds = root, mutants, reach, jobs, seconds
        self.status: dict[Mutant, str] = {}
        self.running: dict[int, Mutant] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        self.functions = Functions(self.root)
        gc.freeze()
        for number, mutant in enumerate(self.mutants):
            tests = [items[name] for name in self.within(self.reach.of(mutant)) if name in items]
            if not tests:
                self.status[mutant] = UNREACHED
                continue
            if len(self.running) == self.jobs:
                self.wait()
            child = os.fork()
            if not child:
                self.child(mutant, tests)
            self.running[child] = mutant
            if number % 100 == 0:
                print(f"{number} of {len(self.mutants)} mutants", file=sys.__stdout__, flush=True)
        while self.running:
            self.wait()
        return True

    def within(self, names: Iterable[str]) -> list[str]:
        """The first of these tests, as many as fit in the time for one mutant."""
        total, found = 0.0, []
        for name in names:
            total += self.reach.seconds[name]
            if found and total > self.seconds:
                break
            found.append(name)
        return found

    def wait(self) -> None:
        """Take the result of the next process that ends."""
        child, status = os.wait()
        mutant = self.running.pop(child)
        timeout = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGALRM)
        self.status[mutant] = TIMEOUT if timeout else _STATUS.get(os.waitstatus_to_exitcode(status), KILLED)

    def child(self, mutant: Mutant, tests: Sequence[pytest.Item]) -> None:
        """Make the change, run the tests until one fails, and end with a status."""
        status = 1  # whatever else goes wrong is the mutant's doing
        try:
            used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
            limit = int(used + 10 + 5 * sum(self.reach.seconds[item.nodeid] for item in tests))
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
            memory = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + _EXTRA_MEMORY
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
            signal.alarm(10 * limit)
            self.functions.swap(self.root, mutant)
            for item, following in zip(tests, [*tests[1:], None], strict=True):
                if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
                    break
            else:
                status = 0
        except NotPossibleError:
            status = 2
        finally:
            os._exit(status)


def run(session: _Session, tests: Sequence[str]) -> None:
    """A pytest session over these tests."""
    code = pytest.main(["-q", "-p", "no:cacheprovider", *tests], plugins=[session])
    if code:
        sys.exit(f"pytest ended with {code!r}")


def save(reach: Reach, path: Path) -> None:
    """Keep what tests reach, for another run over the same files."""
    path.write_text(json.dumps(reach._asdict()))


def load(path: Path) -> Reach:
    """What `save` kept."""
    return Reach(**json.loads(path.read_text()))
