"""Rules for parameters: what they match, which of them decides, and how they are written down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samestep import Multipliers, Parameter, ParameterRule
from samestep.core.specs.parameter_rules import ROLES, assign, by_multipliers


def model(*paths: str, role: Any = "kernel") -> list[Parameter]:
    return [Parameter(path, (3, 2), role) for path in paths]


def matched(rule: ParameterRule, parameters: Sequence[Parameter]) -> list[str]:
    return [parameters[index].path for index in rule.matches(parameters)]


def rates(rules: Sequence[ParameterRule], parameters: Sequence[Parameter]) -> list[float]:
    return [each.multipliers.learning_rate for each in assign(rules, 0.0, parameters)]


def test_a_role_matches_the_parameters_of_that_role_and_several_roles_those_of_any() -> None:
    parameters = [Parameter(role, (2,), role) for role in ROLES]
    for role in ROLES:
        assert matched(ParameterRule(role, weight_decay=0), parameters) == [role]
    assert matched(ParameterRule(["norm", "bias"], weight_decay=0), parameters) == ["bias", "norm"]
    assert matched(ParameterRule(weight_decay=0), parameters) == list(ROLES)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("a/b", ["a/b"], ["a", "b", "a/b/c", "x/a/b", "a/B", "a/bb"]),
        ("*", ["a", "abc"], ["a/b"]),
        ("a/*", ["a/b", "a/bc"], ["a", "a/b/c", "ab"]),
        ("a*c/d", ["ac/d", "abc/d", "abbc/d"], ["a/c/d", "abcd/d", "ab/d"]),
        ("a?/d", ["ab/d"], ["a/d", "abb/d", "a/b/d"]),
        ("**", ["a", "a/b", "a/b/c"], []),
        ("**/b", ["b", "a/b", "a/c/b"], ["b/a", "ab", "a/b/c"]),
        ("a/**", ["a", "a/b", "a/b/c"], ["b/a", "ab", "ab/c"]),
        ("a/**/d", ["a/d", "a/b/d", "a/b/c/d"], ["a", "d", "ad", "a/bd", "a/d/e"]),
        ("**/b/**", ["b", "a/b", "b/c", "a/b/c", "b/b"], ["a/c", "ab/c"]),
        ("**/**/b", ["b", "a/b", "a/c/b"], ["b/a"]),
        ("a/**/*/d", ["a/b/d", "a/b/c/d"], ["a/d"]),
        ("**/*k*/**", ["k", "a/bkb/c", "kernel"], ["a/b"]),
        ("a.b/c+", ["a.b/c+"], ["axb/c+", "a.b/cc"]),
        ("(a|b)/[c]^$", ["(a|b)/[c]^$"], ["a/c", "b/[c]^$"]),
        (r"a\d/{2}", [r"a\d/{2}"], ["a1/{2}", "aa"]),
        ("[ab]", ["[ab]"], ["a", "b"]),
        ("ab**/c", ["ab/c", "abc/c"], ["ab/d/c"]),
    ],
)
def test_a_path_matches_whole_parts(pattern: str, yes: list[str], no: list[str]) -> None:
    assert matched(ParameterRule(path=pattern, weight_decay=0), model(*yes, *no)) == yes


@settings(deadline=None, max_examples=200, derandomize=True)
@given(st.lists(st.text("ab.*?[(\\", min_size=1, max_size=4), min_size=1, max_size=4))
def test_a_path_without_wildcards_matches_itself_alone(parts: list[str]) -> None:
    plain = "/".join(part.replace("*", "+").replace("?", "|") for part in parts)
    others = [f"{plain}x", f"x{plain}", f"{plain}/x", f"x/{plain}", plain.replace(".", "x") + "y"]
    assert matched(ParameterRule(path=plain, weight_decay=0), model(plain, *others)) == [plain]


BLOCKS = [
    Parameter("embed/table", (9, 4), "embedding"),
    *(
        Parameter(f"blocks/{n}/{name}", (4,), role)  # type: ignore[arg-type]
        for n in range(12)
        for name, role in (("norm/scale", "norm"), ("dense/kernel", "kernel"), ("dense/bias", "bias"))
    ),
    Parameter("head/kernel", (4, 2), "kernel"),
    Parameter("head/bias", (2,), "bias"),
]
DEPTHS = ["embed/**", "blocks/*/**", "head/**"]


def by_path(rules: Sequence[ParameterRule]) -> dict[str, float]:
    return {p.path: rate for p, rate in zip(BLOCKS, rates(rules, BLOCKS), strict=True)}


def test_with_depth_each_layer_learns_slower_than_the_one_after_it_in_the_models_order() -> None:
    found = by_path([ParameterRule(depth=DEPTHS, learning_rate=0.5)])
    assert found["embed/table"] == 0.5**13
    for n in range(12):  # 10 follows 9 and not 1
        for name in ("norm/scale", "dense/kernel", "dense/bias"):
            assert found[f"blocks/{n}/{name}"] == 0.5 ** (12 - n)
    assert found["head/kernel"] == found["head/bias"] == 1.0


def test_depths_that_no_pattern_names_are_left_alone() -> None:
    found = by_path([ParameterRule(depth=["blocks/*/**"], learning_rate=0.5)])
    assert (found["embed/table"], found["head/kernel"]) == (1.0, 1.0)
    assert (found["blocks/0/dense/bias"], found["blocks/11/dense/bias"]) == (0.5**11, 1.0)


def test_of_two_patterns_of_depth_the_first_that_matches_holds() -> None:
    paths = model("a/1", "a/2", "b/1")
    assert rates([ParameterRule(depth=["a/1", "a/*", "b/*"], learning_rate=0.5)], paths) == [0.25, 0.5, 1.0]
    assert rates([ParameterRule(depth=["a/*", "a/1", "b/*"], learning_rate=0.5)], paths) == [0.25, 0.5, 1.0]


def test_the_order_of_the_patterns_goes_before_that_of_the_model() -> None:
    backwards = model("head/kernel", "blocks/1/kernel", "blocks/0/kernel", "embed/table")
    assert rates([ParameterRule(depth=DEPTHS, learning_rate=0.5)], backwards) == [1.0, 0.25, 0.5, 0.125]


@pytest.mark.parametrize(
    "beside", [{"role": "kernel"}, {"role": "norm"}, {"role": "embedding"}, {"path": "**/kernel"}], ids=str
)
def test_with_a_role_or_path_beside_it_depth_still_counts_all_of_the_depths(beside: dict[str, Any]) -> None:
    """Also those after a parameter in which nothing has that role or path."""
    found = by_path([ParameterRule(depth=DEPTHS, learning_rate=0.5, **beside)])
    inside = matched(ParameterRule(weight_decay=0, **beside), BLOCKS)
    for path, rate in by_path([ParameterRule(depth=DEPTHS, learning_rate=0.5)]).items():
        assert found[path] == (rate if path in inside else 1.0), path


def test_a_weight_decay_beside_depth_is_not_raised_to_a_power() -> None:
    every = assign([ParameterRule(depth=DEPTHS, learning_rate=0.5, weight_decay=0.25)], 0.0, BLOCKS)
    assert {each.multipliers.weight_decay for each in every} == {0.25}


def test_the_first_rule_that_matches_decides_each_multiplier_by_itself() -> None:
    rules = [
        ParameterRule(path="a/*", weight_decay=0),
        ParameterRule(role="kernel", learning_rate=2, weight_decay=3),
        ParameterRule(learning_rate=5, weight_decay=7, l1_ratio=0.5),
    ]
    parameters = [*model("a/kernel", "b/kernel"), *model("a/bias", "b/bias", role="bias")]
    found = assign(rules, 0.125, parameters)
    assert [each.parameter for each in found] == parameters
    assert [each.multipliers for each in found] == [(2, 0, 0.5), (2, 3, 0.5), (5, 0, 0.5), (5, 7, 0.5)]
    assert [each.rules for each in found] == [(0, 1, 2), (1, 2), (0, 2), (2,)]


def test_what_no_rule_decides_is_one_and_the_specs_l1_ratio() -> None:
    (found,) = assign([], 0.25, model("a"))
    assert found == (Parameter("a", (3, 2), "kernel"), Multipliers(1.0, 1.0, 0.25), ())
    (zero,) = assign([ParameterRule(l1_ratio=0)], 0.25, model("a"))
    assert zero.multipliers == Multipliers(1.0, 1.0, 0.0)


def test_a_rule_that_matches_nothing_is_an_error_that_names_the_rule_and_paths() -> None:
    rules = [ParameterRule(role="kernel", weight_decay=0.5), ParameterRule(path="heads/*", weight_decay=0)]
    with pytest.raises(ValueError, match=r"matches no parameter") as caught:
        assign(rules, 0.0, model(*"abcdefg"))
    assert str(caught.value) == (
        "ParameterRule(path='heads/*', weight_decay=0.0) matches no parameter; the model has 'a', 'b', 'c', 'd', 'e' "
        "and 2 more: correct the rule, or give it optional=True."
    )
    with pytest.raises(ValueError, match=r"the model has 'a': correct the rule"):
        assign(rules, 0.0, model("a"))
    optional = [rules[0], ParameterRule(path="heads/*", weight_decay=0, optional=True)]
    assert [each.rules for each in assign(optional, 0.0, model("a"))] == [(0,)]


def test_a_rule_whose_parts_match_different_parameters_matches_nothing() -> None:
    with pytest.raises(ValueError, match=r"role=\('bias',\), path='a', .*matches no parameter"):
        assign([ParameterRule("bias", "a", weight_decay=0)], 0.0, [*model("a"), *model("b", role="bias")])
    with pytest.raises(ValueError, match=r"matches no parameter"):
        assign([ParameterRule(path="a", depth=["b"], learning_rate=0.5)], 0.0, model("a", "b"))


def test_the_group_without_multipliers_comes_first() -> None:
    given_multipliers = [Multipliers(0.5), Multipliers(1, 0), Multipliers(2), Multipliers(), Multipliers(1, 1, 0.5)]
    assert list(by_multipliers(given_multipliers)) == [(1, 1, 0), (1, 1, 0.5), (0.5, 1, 0), (1, 0, 0), (2, 1, 0)]
    assert list(by_multipliers(given_multipliers).values()) == [[3], [4], [0], [1], [2]]
