"""The file of a run that is handed over: it is read as it was written, or refused, and replaced as a whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import replaced as kills

from samestep.core.checkpoints.saved import Driver, Saved
from samestep.core.schedules.clock import Clock
from samestep.exchange import Exchange, ParameterState, mapped, read, replaced, write

DRIVER = Driver("recipe", ("learning_rate",), {"recipe": {"x": [1.5, None]}}, Clock(4, 3), ([0, 0.5],))
MOMENTS = {"momentum": np.arange(6, dtype="float32").reshape(3, 2), "velocity": np.full((3, 2), 0.1, "float64")}
EXCHANGE = Exchange(
    Saved(2).with_progress(0, 0, DRIVER),
    {0: "AdamW"},
    {
        "layer/kernel": ParameterState(8, MOMENTS, 0.25),
        "layer/scale": ParameterState(0, {"momentum": np.float32(2.0).reshape(())}),
    },
)


def same(ours: Exchange, theirs: Exchange) -> bool:
    def plain(exchange: Exchange) -> object:
        parameters = {
            name: (
                each.updates,
                each.product,
                {k: (a.dtype.str, a.shape, a.tobytes()) for k, a in each.moments.items()},
            )
            for name, each in exchange.parameters.items()
        }
        return exchange.saved.to_dict(), exchange.kinds, parameters

    return plain(ours) == plain(theirs)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "run.npz", EXCHANGE)
    return tmp_path / "run.npz"


def test_what_is_read_is_what_was_written(path: Path) -> None:
    assert same(read(path), EXCHANGE)
    with np.load(path) as found:  # it is a file of NumPy's, for whoever wants to look at it
        assert np.array_equal(found["layer/kernel:momentum"], MOMENTS["momentum"])


def flips(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The content with one bit of each byte turned."""
    for at in range(len(content)):
        yield at, content[:at] + bytes([content[at] ^ (1 << at % 8)]) + content[at + 1 :]


def test_a_file_with_a_bit_that_was_turned_is_what_was_written_or_is_refused(path: Path) -> None:
    content, refused = path.read_bytes(), 0
    for at, damaged in flips(content):
        path.write_bytes(damaged)
        try:
            assert same(read(path), EXCHANGE), at
        except ValueError as error:
            refused += str(error).endswith("; use another file.")
    assert refused > 0.8 * len(content)  # the dates of the members, for example, say nothing of the run


def test_a_truncated_file_is_refused(path: Path) -> None:
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(
            ValueError, match=r"^found '.*', which is damaged or was not written by export_state \(.*\)"
        ):
            read(path)


class Harmful:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, ("harm",)


def test_no_pickle_is_loaded(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with np.load(path) as found:
        arrays = dict(found)
    for name in ("state", "layer/kernel:momentum", "more"):
        np.savez(path, **{**arrays, name: np.array([Harmful()], dtype=object)})
        with pytest.raises(ValueError, match="not written by export_state"):
            read(path)
    assert not (tmp_path / "harm").exists()


def test_a_write_that_fails_leaves_the_former_file_and_nothing_beside_it(path: Path) -> None:
    def write_half() -> None:
        with replaced(path) as file:
            file.write(path.read_bytes()[:100])
            raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        write_half()
    assert same(read(path), EXCHANGE)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_whoever_reads_the_former_file_reads_all_of_it_while_it_is_replaced(path: Path) -> None:
    former = path.read_bytes()
    with open(path, "rb") as file:
        begin = file.read(10)
        write(path, Exchange(Saved(3).with_progress(0, 0, DRIVER), {0: "AdamW"}))
        assert begin + file.read() == former
    assert read(path).saved.epoch == 3


def test_arrays_of_another_file_are_refused(path: Path) -> None:
    with np.load(path) as found:
        arrays = dict(found)
    np.savez(path, **{**arrays, "layer/kernel:momentum": arrays["layer/kernel:momentum"] + 1})
    with pytest.raises(ValueError, match="damaged or was not written by export_state"):
        read(path)


def test_killed_at_any_moment_it_leaves_the_former_file_or_the_new_one(tmp_path: Path) -> None:
    assert kills.check(tmp_path, seed=1000, kills=4) == ""


def test_names_and_axes_take_each_parameter_once() -> None:
    shapes = {"weight": (2, 3), "layer/scale": ()}
    names = {"weight": ("layer/kernel", (1, 0))}
    found = mapped(EXCHANGE, shapes, names)
    assert np.array_equal(found["weight"].moments["momentum"], MOMENTS["momentum"].T)
    assert found["weight"].moments["momentum"].flags["C_CONTIGUOUS"]
    assert found["layer/scale"].moments["momentum"].shape == ()
    assert (found["weight"].updates, found["weight"].product) == (8, 0.25)


@pytest.mark.parametrize(
    ("shapes", "names", "message"),
    [
        (
            {"weight": (2, 3)},
            None,
            r"^found parameters \['layer/kernel', 'layer/scale'\] in the file and \['weight'\] in the model",
        ),
        ({"weight": (3, 2)}, {"weight": "layer/kernel"}, "to match them one to one"),  # layer/scale is left
        ({"a": (3, 2), "b": (3, 2)}, {"a": "layer/kernel", "b": "layer/kernel"}, "to match them one to one"),
        ({"weight": (2, 3), "layer/scale": ()}, {"weight": "layer/kernel"}, r"found the shape \(3, 2\) for 'weight'"),
        ({"weight": (2, 3), "layer/scale": ()}, {"weight": ("layer/kernel", (0, 0))}, r"found the axes \(0, 0\)"),
        ({"weight": (2, 3), "layer/scale": ()}, {"bias": "layer/kernel"}, r"found names for \['bias'\], which are no"),
    ],
)
def test_names_that_do_not_fit_are_refused(shapes: dict[str, tuple[int, ...]], names: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        mapped(EXCHANGE, shapes, names)  # type: ignore[arg-type]
    assert str(caught.value).endswith(".")
