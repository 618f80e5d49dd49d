"""The stated part of the tests that every set of versions must pass."""

from __future__ import annotations

import json
import os
import subprocess
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from environments import ROOT

BACKENDS = ("tensorflow", "jax", "torch")
# In `make test` only: what other libraries do today, and what the source looks like.
PEERS = ("keras_schedules", "optax_schedules", "plateau_peers", "torch_schedulers", "transformers_schedules")
LEFT_OUT = ("house", *PEERS)
CORE = {"schedules, plans, recipes": ("core", "exchange")}
TORCH = {"conformance": ("conformance/torch",)}
LIGHTNING = {
    "golden tables": ("lightning/test_golden.py",),
    "plans followed": tuple(f"lightning/test_{name}.py" for name in ("plan_followed", "epoch_callbacks", "plateau")),
    "parameters": tuple(f"lightning/test_{name}.py" for name in ("parameters", "extract_weight_decay", "layouts")),
    "kernels": ("lightning/test_kinds.py", "lightning/test_oracle.py", "lightning/test_build_optimizer.py"),
    "resume": ("lightning/test_resume.py", "lightning/test_old_states.py"),
    "trainer matrix": ("lightning/test_trainer_configurations.py",),
    "private names": ("lightning/test_private_names.py",),
}
KERAS = {
    "golden tables": ("keras/test_golden.py",),
    "plans followed": tuple(f"keras/test_{name}.py" for name in ("plan_followed", "epoch_callbacks", "plateau")),
    "kernels": ("keras/test_kinds.py", "keras/test_numerics.py"),
    "resume": ("keras/test_checkpoints.py", "keras/test_old_states.py"),
    "trainer matrix": ("keras/test_trainer_configurations.py",),
    "private names": ("keras/test_private_names.py",),
    "conformance": ("conformance/keras",),  # last: Keras' own tests leave stand-ins behind
}
ON_ONE_BACKEND = {  # these depend little on the backend, and take long
    "parameters": tuple(f"keras/test_{name}.py" for name in ("parameters", "extract_weight_decay", "layouts")),
    "hand-over": ("keras/test_handover.py",),
    "float64 oracle": ("keras/test_oracle.py",),
}


class Suite(NamedTuple):
    """What one process runs: the test files of each part, of one framework, with Keras' backend."""

    where: str
    parts: dict[str, tuple[str, ...]]
    backend: str | None = None


DEMO = Suite("demo", {})


class Outcome(NamedTuple):
    """What came of a suite: the tests of each part that passed and that failed, and why others were skipped."""

    where: str
    passed: dict[str, int]
    failed: dict[str, int]
    skipped: dict[str, int]
    seconds: float
    distances: dict[str, float] = {}  # noqa: RUF012 - of the demonstration

    def __str__(self) -> str:
        counts = (sum(count.values()) for count in (self.passed, self.failed, self.skipped))
        return "{} passed, {} failed, {} skipped".format(*counts)


def suites() -> Iterator[Suite]:
    """Every suite, the longest first."""
    for backend in BACKENDS:
        parts = ON_ONE_BACKEND | KERAS if backend == "jax" else KERAS
        yield Suite(f"Keras on {backend}", parts, backend)
    yield Suite("Lightning", LIGHTNING)
    yield Suite("core", CORE)
    yield Suite("torch", TORCH)
    yield DEMO


def run(suite: Suite, python: Path, folder: Path) -> Outcome:
    """Run a suite in an environment; what it prints, and pytest's report, go to the folder. Seconds are the CPU's."""
    folder.mkdir(parents=True, exist_ok=True)
    if suite is DEMO:
        return _demonstration(suite, python, folder)
    stem = suite.where.replace(" ", "-").lower()
    report = folder / f"{stem}.xml"
    report.unlink(missing_ok=True)
    files = [f"tests/{file}" for part in suite.parts.values() for file in part]
    options = ["-q", "-o", "junit_family=xunit1", "-p", "no:cacheprovider", f"--junitxml={report}"]
    options += [f"--ignore=tests/core/test_{name}.py" for name in LEFT_OUT]
    backend = {"KERAS_BACKEND": suite.backend} if suite.backend else {}
    status, seconds = execute([python, "-m", "pytest", *options, *files], folder / f"{stem}.log", backend)
    return _outcome(suite, report, status, seconds)


def execute(command: Sequence[str | Path], log: Path, environment: dict[str, str]) -> tuple[int, float]:
    """The exit status of a command on one core, and its seconds of CPU time, those of its own processes included."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    environment.pop("PYTHONPATH", None)
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, used.ru_utime + used.ru_stime


def _demonstration(suite: Suite, python: Path, folder: Path) -> Outcome:
    status, seconds = execute([python, "-m", "samestep.parity", "--out", folder], folder / "demo.log", {})
    if status:
        return Outcome(suite.where, {}, {"the same step": 1}, {}, seconds)
    rows = json.loads((folder / "parity.json").read_text())["rows"]
    distances = {row["framework"]: row["from_lightning"] for row in rows if not row["stock"]}
    return Outcome(suite.where, {"the same step": len(distances)}, {}, {}, seconds, distances)


def _outcome(suite: Suite, report: Path, status: int, seconds: float) -> Outcome:
    passed, failed, skipped = Counter[str](), Counter[str](), Counter[str]()
    for case in ElementTree.parse(report).iter("testcase") if report.exists() else ():
        reason = case.find("skipped")
        if reason is not None:
            skipped[_said(reason)] += 1
        elif case.find("failure") is not None or case.find("error") is not None:
            failed[_part(suite, case)] += 1
        else:
            passed[_part(suite, case)] += 1
    if status and not failed:
        failed["the process itself"] += 1
    return Outcome(suite.where, dict(passed), dict(failed), dict(skipped), seconds)


def _said(reason: ElementTree.Element) -> str:
    """Why a test was skipped; where a whole file was, only the text below says it."""
    message = reason.get("message", "")
    return message if message != "collection skipped" else (reason.text or "").rpartition("Skipped: ")[2].rstrip("')")


def _part(suite: Suite, case: ElementTree.Element) -> str:
    """The part that a test belongs to, by its file."""
    file = case.attrib["file"].removeprefix("tests/")
    # Keras' own tests, which the conformance with Keras runs, lie where Keras is installed.
    return next((name for name, files in suite.parts.items() if file.startswith(files)), "conformance")
