"""Parameters that consist of several of the other framework's, or lie otherwise, are matched one to one or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from samestep.core.checkpoints.saved import Saved
from samestep.core.specs.shared_layout import Layout, Part
from samestep.exchange import Exchange, ParameterState, mapped, read, write

N = 3
ROWS = [((n * N, (n + 1) * N),) for n in range(3)]
PARTS = ("query", "key", "value")
# As torch and Keras have them.
PACKED: dict[str, Layout] = {
    "attention/in_proj_weight": tuple(
        Part(f"attention/{part}/kernel", (N, N), (1, 0), rows) for part, rows in zip(PARTS, ROWS, strict=True)
    )
}
APART: dict[str, Layout] = {f"attention/{part}/kernel": (Part(f"attention/{part}/kernel", (N, N)),) for part in PARTS}
LINEAR: dict[str, Layout] = {"dense/weight": (Part("dense/kernel", (N, N), (1, 0)),)}
DENSE: dict[str, Layout] = {"dense/kernel": (Part("dense/kernel", (N, N)),)}
TABLE: dict[str, Layout] = {"table/embeddings": (Part("table/embeddings", (N, N)),)}
ONE_BIAS: dict[str, Layout] = {"lstm/cell/bias": (Part("lstm/cell/bias", (N,)),)}
TWO_BIASES: dict[str, Layout] = {
    "lstm/bias_ih_l0": (Part("lstm/cell/bias", (N,)),),
    "lstm/bias_hh_l0": (Part("lstm/cell/recurrent_bias", (N,)),),
}
OWN: dict[str, Layout] = {"own/kernel": ()}  # a layer of the user's


def shapes(layouts: dict[str, Layout]) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {"own/kernel": (N, N), "attention/in_proj_weight": (3 * N, N)}
    return {path: found.get(path) or layout[0].shape for path, layout in layouts.items()}


def exchange(layouts: dict[str, Layout], updates: dict[str, int] | None = None, old: bool = False) -> Exchange:
    random = np.random.default_rng(0)
    states = {
        path: ParameterState((updates or {}).get(path, 4), {"momentum": random.standard_normal(shape)})
        for path, shape in shapes(layouts).items()
    }
    known = {path: layout for path, layout in layouts.items() if layout and not old}
    return Exchange(Saved(1), {0: "SGDW"}, states, known)


def moments(file: Exchange, model: dict[str, Layout], names: Any = None) -> dict[str, np.ndarray]:
    known = {path: layout for path, layout in model.items() if layout}
    return {path: each.moments["momentum"] for path, each in mapped(file, shapes(model), names, known).items()}


def test_three_kernels_become_one_and_one_becomes_three() -> None:
    file = exchange(APART)
    packed = moments(file, PACKED)["attention/in_proj_weight"]
    for part, (rows,) in zip(PARTS, ROWS, strict=True):
        theirs = file.parameters[f"attention/{part}/kernel"].moments["momentum"]
        assert np.array_equal(packed[slice(*rows)], theirs.T), part
    states = {"attention/in_proj_weight": ParameterState(4, {"momentum": packed})}
    back = moments(Exchange(Saved(1), {0: "SGDW"}, states, PACKED), APART)
    assert all(np.array_equal(back[path], file.parameters[path].moments["momentum"]) for path in APART)


def test_a_square_kernel_is_turned_where_the_layers_are_known() -> None:
    file = exchange(DENSE)
    kernel = file.parameters["dense/kernel"].moments["momentum"]
    assert np.array_equal(moments(file, LINEAR)["dense/weight"], kernel.T)
    for names in ({"dense/weight": "dense/kernel"}, {"dense": "dense"}, {"dense/weight": ("dense/kernel", (1, 0))}):
        assert np.array_equal(moments(file, LINEAR, names)["dense/weight"], kernel.T)
    # Axes are taken at their word.
    assert np.array_equal(moments(file, LINEAR, {"dense/weight": ("dense/kernel", (0, 1))})["dense/weight"], kernel)


def test_a_layer_is_named_as_a_whole_or_by_its_parts() -> None:
    def elsewhere(path: str) -> str:
        return path.replace("attention", "encoder/mixer")

    there = {elsewhere(path): (layout[0]._replace(name=elsewhere(path)),) for path, layout in APART.items()}
    file = exchange(there)
    whole = moments(file, PACKED, {"attention": "encoder/mixer"})
    by_part = moments(file, PACKED, {f"attention/{part}": f"encoder/mixer/{part}" for part in PARTS})
    swapped = {"attention/query": "encoder/mixer/key", "attention/key": "encoder/mixer/query"}
    assert np.array_equal(whole["attention/in_proj_weight"], by_part["attention/in_proj_weight"])
    other = moments(file, PACKED, {"attention": "encoder/mixer", **swapped})["attention/in_proj_weight"]
    assert np.array_equal(other[:N], whole["attention/in_proj_weight"][N : 2 * N])


def test_layouts_are_read_as_they_were_written_and_older_files_have_none(tmp_path: Any) -> None:
    write(tmp_path / "run.npz", exchange(PACKED))
    assert read(tmp_path / "run.npz").layouts == PACKED
    # Of the same framework everything is as before.
    assert moments(exchange(PACKED, old=True), PACKED).keys() == PACKED.keys()


UNKNOWN = (
    r"^found 'dense/weight' in the model and '.*' in the file, and how one of them lies is unknown; give the axes,.*"
)
COUNTERPARTS = r"found parameters \[{}\] in the file and \[{}\] in the model; give names=.*"
SECOND = r"^found '.*bias_hh_l0', a second trained bias, which Keras' layer does not have; freeze it .*"


@pytest.mark.parametrize(
    ("file", "model", "names", "message"),
    [
        (exchange(DENSE, old=True), LINEAR, {"dense/weight": "dense/kernel"}, UNKNOWN),
        (exchange(OWN), LINEAR, {"dense/weight": "own/kernel"}, UNKNOWN),
        (exchange(TABLE), LINEAR, {"dense/weight": "table/embeddings"}, UNKNOWN),
        (exchange(TWO_BIASES), ONE_BIAS, None, SECOND),
        (exchange(ONE_BIAS), TWO_BIASES, None, SECOND),
        (exchange(DENSE), PACKED, None, COUNTERPARTS.format("'dense/kernel'", "'attention/key/kernel', .*")),
        (exchange(DENSE), PACKED, {"attention/in_proj_weight": "dense/kernel"}, COUNTERPARTS.format(".*", ".*")),
        (exchange(PACKED), DENSE, {"dense/kernel": "attention/in_proj_weight"}, COUNTERPARTS.format(".*", ".*")),
        (exchange(PACKED), DENSE, {"dense/kernel": "attention/key/kernel"}, r".*'attention/query/kernel', 'att"),
        (exchange(APART, {"attention/key/kernel": 3}), PACKED, None, r"^found different numbers of updates in"),
        (exchange(APART), PACKED, {"attentio": "attention"}, r"^found names for \['attentio'\], which are not"),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_or_an_unknown_layout_is_refused_in_a_sentence(
    file: Exchange, model: Any, names: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        moments(file, model, names)
    assert str(caught.value).count(". ") == 0
    assert str(caught.value).endswith(".")
