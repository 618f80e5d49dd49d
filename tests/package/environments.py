"""Fresh environments into which the built wheel is installed by the lines of README.md, without the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"
TOOLS = Path(sys.executable).parent
_BLOCK = re.compile(r"^```\n(.*?)^```", re.MULTILINE | re.DOTALL)

# They need another index: download.pytorch.org, which CI does not reach.
NOT_RUN = (
    "pip install torch --index-url https://download.pytorch.org/whl/cpu",
    "uv pip install torch --torch-backend cpu",
)


def readme_lines() -> list[str]:
    """The lines of README.md that install something, without their comments."""
    lines = [
        line.partition("#")[0].strip()
        for block in _BLOCK.findall((ROOT / "README.md").read_text())
        for line in block.splitlines()
    ]
    return [line for line in lines if "pip install" in line]


LINES = [line for line in readme_lines() if line not in NOT_RUN]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


class Environment:
    """A new virtual environment, and an empty folder in which its programs run."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.folder = folder / "environment" / "bin", folder / "empty"
        self.folder.mkdir()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "KERAS"))}
        found = [str(DIST), *os.environ.get("PIP_FIND_LINKS", "").split()]
        constraints = str(ROOT / "constraints.txt")
        self.variables = {
            **inherited,
            "KERAS_HOME": str(folder / "keras"),
            "OMP_NUM_THREADS": "1",
            "PATH": f"{self.bin}:{TOOLS}:{os.environ['PATH']}",
            "PIP_CONSTRAINT": constraints,
            "PIP_FIND_LINKS": " ".join(found),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "UV_CONSTRAINT": constraints,
            "UV_FIND_LINKS": ",".join(found),
            "VIRTUAL_ENV": str(folder / "environment"),
        }
        self.shell(f"uv venv --quiet --seed --no-python-downloads --python {sys.executable} {folder / 'environment'}")

    def shell(self, line: str, **variables: str) -> str:
        """What a command prints; it must succeed."""
        done = self._run(["bash", "-c", line], variables)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def python(self, program: str, **variables: str) -> str:
        """The last line that a program prints; it must succeed."""
        done = self._run([self.bin / "python", "-c", program], variables)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1]

    def error(self, program: str, **variables: str) -> str:
        """The last line of a program that fails."""
        done = self._run([self.bin / "python", "-c", program], variables)
        assert done.returncode == 1, done.stdout
        return done.stderr.splitlines()[-1]

    def has(self, module: str) -> bool:
        """Whether a module is installed in it."""
        return self.python(f"from importlib.util import find_spec; print(find_spec({module!r}) is not None)") == "True"

    def _run(self, command: list[str | Path], variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env={**self.variables, **variables}, capture_output=True, text=True
        )

    def remove(self) -> None:
        """Free its space: one with every framework takes gigabytes."""
        shutil.rmtree(self.bin.parent)
