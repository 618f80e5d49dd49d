"""Rules for parameters are values: checked when made, written down and read back, and shown in a table."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samestep import SGDW, AdamW, NAdamW, Parameter, ParameterRule, ParameterTable, Recipe
from samestep.core.specs.parameter_rules import ROLES, assign, by_multipliers
from samestep.core.specs.spec import Spec

MODEL = [
    Parameter(f"{block}/{name}", (4,), role)  # type: ignore[arg-type]
    for block in "ab"
    for name, role in (("bias", "bias"), ("kernel", "kernel"), ("x.c", "norm"), ("table", "embedding"))
]

REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: ParameterRule(), ValueError, "found ParameterRule(), which sets nothing; give learnin"),
    (lambda: ParameterRule("bias"), ValueError, "found ParameterRule(role=('bias',)), which sets nothing"),
    (lambda: ParameterRule("gamma", weight_decay=0), ValueError, "ParameterRule.role: found ('gamma',); expected some"),
    (lambda: ParameterRule(["bias", "x"], weight_decay=0), ValueError, "ParameterRule.role: found ('bias', 'x'); expe"),
    (lambda: ParameterRule("", weight_decay=0), ValueError, "ParameterRule.role: found ('',); expected some of 'bias'"),
    (lambda: ParameterRule(5, weight_decay=0), ValueError, "ParameterRule.role: found 5; expected some of 'bias', 'no"),
    (lambda: ParameterRule(None, weight_decay=0), ValueError, "ParameterRule.role: found None; expected some of"),
    (lambda: ParameterRule([1], weight_decay=0), ValueError, "ParameterRule.role: found [1]; expected some of 'bias'"),
    (lambda: ParameterRule(path=5, weight_decay=0), ValueError, "ParameterRule.path: found 5; expected a pattern, su"),
    (lambda: ParameterRule(path="", weight_decay=0), ValueError, "ParameterRule.path: found ''; expected parts betwee"),
    (lambda: ParameterRule(path="/a", weight_decay=0), ValueError, "ParameterRule.path: found '/a'; expected parts be"),
    (lambda: ParameterRule(path="a/", weight_decay=0), ValueError, "ParameterRule.path: found 'a/'; expected parts be"),
    (lambda: ParameterRule(path="a//b", weight_decay=0), ValueError, "ParameterRule.path: found 'a//b'; expected part"),
    (lambda: ParameterRule(depth=["a", ""], learning_rate=2), ValueError, "ParameterRule.depth: found ('a', ''); expe"),
    (lambda: ParameterRule(depth=5, learning_rate=2), ValueError, "ParameterRule.depth: found 5; expected a list of p"),
    (lambda: ParameterRule(depth=[5], learning_rate=2), ValueError, "ParameterRule.depth: found [5]; expected a list"),
    (lambda: ParameterRule(depth=["a"], weight_decay=0), ValueError, "ParameterRule.depth: found ('a',); expected a l"),
    (lambda: ParameterRule(learning_rate=0), ValueError, "ParameterRule.learning_rate: found 0.0; expected a multipl"),
    (lambda: ParameterRule(learning_rate=-1), ValueError, "ParameterRule.learning_rate: found -1.0; expected a multip"),
    (lambda: ParameterRule(learning_rate="2"), TypeError, "ParameterRule.learning_rate: found '2' (str); expected a n"),
    (lambda: ParameterRule(weight_decay=-1), ValueError, "ParameterRule.weight_decay: found -1.0; expected a multipl"),
    (lambda: ParameterRule(weight_decay=True), TypeError, "ParameterRule.weight_decay: found True (bool); expected a"),
    (lambda: ParameterRule(l1_ratio=1.5), ValueError, "ParameterRule.l1_ratio: found 1.5; expected a number in [0"),
    (lambda: ParameterRule(l1_ratio=float("nan")), ValueError, "ParameterRule.l1_ratio: found nan; expected a finite"),
    (lambda: ParameterRule(weight_decay=0, optional=1), TypeError, "ParameterRule.optional: found 1 (int); expected T"),
    (lambda: AdamW(parameters=ParameterRule(weight_decay=0)), TypeError, "AdamW.parameters: found ParameterRule(weigh"),
    (lambda: AdamW(parameters=["bias"]), TypeError, "AdamW.parameters: found 'bias' (str); expected a rule, such"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "words"), REFUSED, ids=[words for _, _, words in REFUSED])
def test_a_bad_argument_is_refused_in_words(make: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(words)}.*\\.$"):
        make()


parts = st.sampled_from(["**", "*", "a", "b?", "*.c", "[d]", "'"])
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)
factors = st.none() | st.floats(0.125, 8)


@st.composite
def rules(draw: st.DrawFn) -> ParameterRule:
    decided = draw(st.tuples(factors, factors, st.none() | st.floats(0, 1)).filter(any))
    depth = draw(st.lists(paths, max_size=3)) if decided[0] else []
    return ParameterRule(
        draw(st.sampled_from(ROLES) | st.lists(st.sampled_from(ROLES), max_size=3)),
        draw(st.none() | paths),
        depth,
        learning_rate=decided[0],
        weight_decay=decided[1],
        l1_ratio=decided[2],
        optional=draw(st.booleans()),
    )


NAMES = {"ParameterRule": ParameterRule, "AdamW": AdamW, "NAdamW": NAdamW, "SGDW": SGDW}


@settings(deadline=None, max_examples=150, derandomize=True)
@given(st.lists(rules(), max_size=3), st.sampled_from([AdamW, NAdamW, SGDW]))
def test_rules_are_written_down_and_read_back_equal(given_rules: list[ParameterRule], kind: type[Any]) -> None:
    for rule in given_rules:
        assert eval(repr(rule), NAMES) == rule
        assert hash(pickle.loads(pickle.dumps(rule))) == hash(rule)
    spec = kind(0.5, 0.25, parameters=given_rules, l1_ratio=0.5)
    assert spec.parameters == tuple(given_rules)
    assert eval(repr(spec), NAMES) == spec
    assert Spec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    recipe = Recipe(spec)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert hash(Recipe.from_dict(recipe.to_dict())) == hash(recipe)


@settings(deadline=None, max_examples=150, derandomize=True)
@given(st.lists(rules(), max_size=4), st.permutations(MODEL))
def test_the_groups_do_not_depend_on_the_order_of_the_parameters(
    given_rules: list[ParameterRule], shuffled: list[Parameter]
) -> None:
    """Without depth, which is about that order."""
    flat = [rule for rule in given_rules if rule.optional and not rule.depth]
    groups = []
    for parameters in (MODEL, shuffled):
        every = [each.multipliers for each in assign(flat, 0.0, parameters)]
        numbered = by_multipliers(every)
        assert sorted(index for indices in numbered.values() for index in indices) == list(range(len(parameters)))
        assert all(every[index] == group for group, indices in numbered.items() for index in indices)
        groups.append([(group, {parameters[i].path for i in indices}) for group, indices in numbered.items()])
    assert groups[0] == groups[1]


def test_data_with_a_bad_rule_is_a_value_error() -> None:
    data = AdamW(parameters=[ParameterRule(role="bias", weight_decay=0)]).to_dict()
    for bad, words in (
        ({"type": "Rule"}, r"found the rule type 'Rule'; expected one of ParameterRule"),
        ({"type": "AdamW"}, r"found the rule type 'AdamW'"),
        ({"type": "ParameterRule", "role": [], "path": None}, r"found ParameterRule\(\), which sets nothing"),
        ({**data["parameters"][0], "colour": 1}, r"ParameterRule: found colour=1; expected some of role, path, "),
        ("bias", r"found 'bias'; expected a dictionary with a 'type'"),
    ):
        with pytest.raises(ValueError, match=words):
            Spec.from_dict({**data, "parameters": [bad]})


def test_the_table_shows_what_the_rules_make_of_each_parameter() -> None:
    spec = AdamW(0.001, 0.1, parameters=[ParameterRule(role=["bias", "norm"], weight_decay=0)])
    table = ParameterTable.of(
        spec, [Parameter("dense/kernel", (64, 8), "kernel"), Parameter("dense/bias", (8,), "bias")]
    )
    assert table == (
        ("dense/kernel", (64, 8), "kernel", (), 0.001, 0.1, 0.0),
        ("dense/bias", (8,), "bias", (0,), 0.001, 0.0, 0.0),
    )
    assert str(table).splitlines() == [
        "path          shape   role    rule  learning rate  weight decay",
        "dense/kernel  64 x 8  kernel        0.001          0.1",
        "dense/bias    8       bias    0     0.001          0",
        "rule 0: ParameterRule(role=('bias', 'norm'), weight_decay=0.0)",
    ]


def test_the_table_shows_l1_where_there_is_some_and_a_scalar_by_name() -> None:
    rules = [ParameterRule(path="scale", l1_ratio=0.25), ParameterRule(learning_rate=3, weight_decay=0.5)]
    table = ParameterTable.of(SGDW(0.5, 0.25, parameters=rules), [Parameter("scale", (), "bias")])
    assert str(table).splitlines()[:2] == [
        "path   shape   role  rule  learning rate  weight decay  L1 ratio",
        "scale  scalar  bias  0, 1  1.5            0.125         0.25",
    ]
    again = pickle.loads(pickle.dumps(table))
    assert (again, str(again), again.spec) == (table, str(table), table.spec)
