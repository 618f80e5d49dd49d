"""Two processes that train together use the values, and get the weights, of one process with their joined batches."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import torch

from samestep import Trace
from samestep.lightning import HyperparameterScheduler

SCRIPT = Path(__file__).with_name("two_processes.py")
_spec = spec_from_file_location("two_processes", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
two_processes = module_from_spec(_spec)
_spec.loader.exec_module(two_processes)

CASES = two_processes.CASES
WITH_US = [name for name, case in CASES.items() if case.callback]
SAME_BATCHES = [name for name in WITH_US if not CASES[name].at_random]
BY_RECIPE = [name for name in WITH_US if isinstance(CASES[name].callback, HyperparameterScheduler)]
SHARDING = pytest.mark.skipif(not two_processes.SHARDS, reason="needs torch >= 2.6: fully_shard on a CPU")


def each(names: list[str]) -> pytest.MarkDecorator:
    """A test for each of these cases."""
    marked = [pytest.param(name, marks=SHARDING) if CASES[name].how == "sharded" else name for name in names]
    return pytest.mark.parametrize("name", marked)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of all the cases in the process of rank 0, in that of rank 1, and in a single one."""
    folder = tmp_path_factory.mktemp("distributed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "NODE_RANK": "0"}
    started = {}
    for name in ("0", "1", "single"):
        ranks = {} if name == "single" else {**shared, "RANK": name, "LOCAL_RANK": name}
        started[name] = subprocess.Popen(
            [sys.executable, SCRIPT, folder / name],
            env={**os.environ, "OMP_NUM_THREADS": "1", **ranks},
            stdout=(folder / f"{name}.txt").open("w"),
            stderr=subprocess.STDOUT,
        )
    try:
        with ThreadPoolExecutor(len(started)) as pool:
            waiting = {pool.submit(process.wait): name for name, process in started.items()}
            for ended in as_completed(waiting):
                if ended.result():  # the other one would wait for it forever
                    for process in started.values():
                        process.kill()
                    pytest.fail(f"rank {waiting[ended]}: {(folder / f'{waiting[ended]}.txt').read_text()}")
    finally:
        for process in started.values():
            process.kill()
    return {name: torch.load(folder / name) for name in started}


def largest_difference(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> float:
    return max((a - b).abs().max().item() for a, b in zip(ours, theirs, strict=True))


@each(WITH_US)
def test_every_process_uses_the_same_values_at_every_update(outcome: dict[str, Any], name: str) -> None:
    traces = [Trace.from_dict(outcome[process][name]["trace"]) for process in ("single", "0", "1")]
    assert len(traces[0]) == two_processes.EPOCHS * two_processes.BATCHES
    assert traces[0] == traces[1] == traces[2]


@each(BY_RECIPE)
def test_a_percentage_is_of_the_updates_that_each_process_makes(outcome: dict[str, Any], name: str) -> None:
    plan = CASES[name].callback.recipe.plan(two_processes.BATCHES, two_processes.EPOCHS)
    planned = [rate for epoch in range(two_processes.EPOCHS) for rate in plan.values("learning_rate", epoch)]
    for process in ("0", "1"):
        assert Trace.from_dict(outcome[process][name]["trace"]).column("learning_rate") == planned


@each(SAME_BATCHES)
def test_the_weights_are_those_of_one_process_with_the_joined_batches(outcome: dict[str, Any], name: str) -> None:
    single, first, second = (outcome[process][name]["weights"] for process in ("single", "0", "1"))
    moved = largest_difference(single, [p.detach() for p in two_processes.layers().parameters()])
    assert largest_difference(first, second) == 0
    assert largest_difference(single, first) < 2e-5 * moved  # the sum of two means is rounded otherwise than one mean


@each(WITH_US)
def test_lightning_warns_of_nothing_that_it_does_not_warn_of_without_us(outcome: dict[str, Any], name: str) -> None:
    how = CASES[name].how
    for process in ("0", "1"):
        without = outcome[process][f"{how} without us"]["warnings"]
        assert set(outcome[process][name]["warnings"]) <= set(without)


def test_accumulated_gradients_are_saved_by_a_single_process_and_missed_once_by_the_first_of_several(
    outcome: dict[str, Any],
) -> None:
    found = {process: outcome[process]["accumulated"] for process in ("single", "0", "1")}
    assert {process: each["with gradients"] for process, each in found.items()} == {
        "single": [True, False, True, False],
        "0": [False] * 4,
        "1": [False] * 4,
    }
    ours = {
        process: [w for w in each["warnings"] if "EpochGatedDecay" in w and "possible mistakes" not in w]
        for process, each in found.items()
    }
    message = (
        "EpochGatedDecay: found a checkpoint in the middle of an update in 2 processes, without the gradients "
        "accumulated so far; save checkpoints after updates instead."
    )
    assert ours == {"single": [], "0": [message], "1": []}


@SHARDING
@pytest.mark.parametrize("sharded", [True, False])
@pytest.mark.parametrize("name", ["stock", "spec"])
def test_sharded_runs_resume_from_a_sharded_and_from_a_whole_checkpoint(
    outcome: dict[str, Any], name: str, sharded: bool
) -> None:
    for process in ("0", "1"):
        found = outcome[process]["resumed shards"][f"{name} sharded={sharded}"]
        assert found["whole"]["rates"] == [0.1] * 4 + [0.05] * 4 + [0.025] * 4
        assert found["resumed"]["rates"] == found["whole"]["rates"][4:]
        assert largest_difference(found["resumed"]["weights"], found["whole"]["weights"]) == 0


@pytest.mark.parametrize("logged", two_processes.LOGGED)
def test_processes_reduce_on_a_plateau_together_by_the_mean_of_the_scores_that_they_have(
    outcome: dict[str, Any], logged: str
) -> None:
    first_alone = logged.endswith("of rank 0")
    scores = [pair[0] if first_alone else sum(pair) / 2 for pair in two_processes.SCORES]
    left = [1.0, 1.0, 0.5, 0.25, 0.125] if first_alone else [1.0, 1.0, 1.0, 0.5, 0.25]
    for process in ("0", "1", "single"):
        found = outcome[process]["plateaus"][logged]
        assert found["whole"]["scores"] == found["resumed"]["scores"] == dict(enumerate(scores))
        rates = [Trace.from_dict(found[run]["trace"]).column("learning_rate") for run in ("whole", "resumed")]
        assert rates[0] == [0.1 * each for each in left for _ in range(two_processes.BATCHES)]
        assert rates[1] == rates[0][3 * two_processes.BATCHES :]


@pytest.mark.parametrize("use_orig_params", [True, False])
def test_parameters_that_torch_flattens_are_trained_as_they_are_in_one_process(
    outcome: dict[str, Any], use_orig_params: bool
) -> None:
    single, first, second = (outcome[process]["flattened"][f" {use_orig_params}"] for process in ("single", "0", "1"))
    assert torch.equal(first, second)
    torch.testing.assert_close(first, single, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("use_orig_params", [True, False])
@pytest.mark.parametrize("asking", ["parameters", "global_clipnorm", "clipnorm"])
def test_what_asks_for_roles_or_norms_is_refused_where_torch_flattens_the_parameters(
    outcome: dict[str, Any], asking: str, use_orig_params: bool
) -> None:
    for process in ("0", "1"):
        message = outcome[process]["flattened"][f"{asking} {use_orig_params}"]
        assert message.startswith(f"build_optimizer: found {asking}=")
        assert "for a model in FullyShardedDataParallel, which flattens its parameters" in message
        assert message.endswith("shard the model with torch's fully_shard instead.")
        assert "\n" not in message
