"""The environments of the matrix: the oldest supported versions, all at once, and the newest that the index has."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
FLOORS = Path(__file__).with_name("oldest.txt")
BUILD = ROOT / "build" / "versions"
SETS = ("oldest", "newest")
PYTHONS = ("3.14", "3.13", "3.12")  # the newest set takes the first that this machine has and its frameworks support
PACKAGES = ("torch", "pytorch-lightning", "lightning", "keras", "tensorflow", "jax", "numpy")


def uv(*arguments: str | Path) -> None:
    """Run uv, which makes an environment in seconds; raises CalledProcessError if it fails."""
    found = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if found is None:
        raise SystemExit("tests/versions: found no uv; run pip install uv.")
    subprocess.run([found, *map(str, arguments), "--no-python-downloads", "--quiet"], check=True, cwd=ROOT)


def python_of(version: str) -> str | None:
    """An interpreter of a version, by PATH or of pyenv; None if this machine has none."""
    there = [shutil.which(f"python{version}"), *sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))]
    for candidate in filter(None, there):
        if subprocess.run([candidate, "-c", ""], capture_output=True).returncode == 0:  # a shim of pyenv may be empty
            return str(candidate)
    return None


def make(name: str) -> Path:
    """The interpreter of a new environment that has samestep and everything that its tests need."""
    interpreters = [sys.executable] if name == "oldest" else [*filter(None, map(python_of, PYTHONS)), sys.executable]
    requirements = ["-r", FLOORS] if name == "oldest" else ["--upgrade"]
    for python in interpreters:
        environment = BUILD / name
        uv("venv", "--clear", "--python", python, environment)
        try:
            uv("pip", "install", "--python", environment, *requirements, "-e", ".[test]")
        except subprocess.CalledProcessError:
            if python == interpreters[-1]:
                raise
            continue  # a framework has nothing for this Python yet
        break
    if name == "newest":  # tensorflow 2.21 and triton 3.9, of torch's build for CUDA, abort in one process
        uv("pip", "uninstall", "--python", environment, "triton")
    return environment / "bin" / "python"


def lock() -> None:
    """Write the oldest versions, as pyproject names them, with the newest of what else they need and tests need."""
    BUILD.mkdir(parents=True, exist_ok=True)
    tests = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["test"]
    lightning, floors = BUILD / "lightning.in", BUILD / "floors.txt"
    lightning.write_text(next(requirement for requirement in tests if requirement.startswith("lightning")))
    compile_ = ("pip", "compile", "pyproject.toml", "--python-version", "3.11", "--no-header", "--no-annotate")
    uv(*compile_, lightning, "--resolution", "lowest-direct", "--extra", "all", "-o", floors)
    uv(*compile_, "--extra", "test", "-c", floors, "-o", FLOORS)


def installed(python: Path) -> dict[str, str]:
    """The versions in an environment: Python's, and those of the frameworks."""
    program = f"""
import json, platform
from importlib.metadata import version
print(json.dumps({{"Python": platform.python_version(), **{{name: version(name) for name in {PACKAGES!r}}}}}))
"""
    found: dict[str, str] = json.loads(subprocess.check_output([python, "-c", program], text=True))
    return found
