"""Every private name of Lightning and torch that the code relies on is listed, and there."""

from __future__ import annotations

import pytest

import samestep.lightning.private_names
import samestep.torch.private_names
from samestep.core.private_names import PrivateName, missing

from ..private_names import is_private, used_in

TABLES = {
    "lightning": samestep.lightning.private_names.PRIVATE_NAMES,
    "torch": samestep.torch.private_names.PRIVATE_NAMES,
}
EVERY = [each for table in TABLES.values() for each in table]


@pytest.mark.parametrize("each", EVERY, ids=lambda each: f"{each.owner}.{each.name}")
def test_the_installed_framework_has_it(each: PrivateName) -> None:
    assert missing([each]) == []


@pytest.mark.parametrize("each", [each for each in EVERY if each.since], ids=lambda each: f"{each.owner}.{each.name}")
def test_one_that_is_new_is_not_in_an_older_version(each: PrivateName) -> None:
    assert each.is_there() == each.is_needed()


@pytest.mark.parametrize(
    "each", [each for each in EVERY if each.is_needed()], ids=lambda each: f"{each.owner}.{each.name}"
)
def test_one_that_is_gone_is_told_by_its_name(each: PrivateName) -> None:
    (message,) = missing([each._replace(name=f"{each.name}_of_a_framework_that_dropped_it")])
    assert f"{each.owner}.{each.name}_of_a_framework" in message
    assert each.seen in message
    assert each.why in message


def test_an_owner_that_is_gone_is_told_too() -> None:
    assert len(missing([EVERY[0]._replace(owner="torch.nowhere.Something")])) == 1
    assert len(missing([EVERY[0]._replace(owner="no_such_package")])) == 1


@pytest.mark.parametrize("room", TABLES)
def test_no_other_private_name_is_used(room: str) -> None:
    listed = {each.name for each in TABLES[room]} | {each.owner.rpartition(".")[2] for each in TABLES[room]}
    listed |= {"_fsdp_flattened"} if room == "torch" else set()  # what FSDP_FLATTENED says
    assert used_in(room) - listed == set()
    assert any(map(is_private, used_in(room))), "nothing was found where there is something"
