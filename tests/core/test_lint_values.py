"""What lint says of a plan's values: those that cannot be used, and changes that float32 cannot hold."""

from __future__ import annotations

from samestep import AdamW, Constant, EpochFunction, LinearDecay, Recipe, StepDecay, Table, updates


def test_changes_that_float32_cannot_hold_are_found() -> None:
    def found(over: int, end: float) -> list[str]:
        recipe = Recipe(AdamW(1e-3), learning_rate=LinearDecay(updates(over), end=end))
        return recipe.plan(updates_per_epoch=over // 10, epochs=10).lint()

    # From 1e-3 to 5e-4 the float32 are 5.8e-11 apart. Most changes of 2.5e-11 are lost, fewer of 3.3e-11.
    (sentence,) = found(20 * 10**6, 0.5)
    assert sentence.startswith("learning_rate: ")
    assert sentence.endswith(
        " % of its changes from one update to the next are too small for float32: neighbouring updates use the same "
        "value"
    )
    assert found(15 * 10**6, 0.5) == []


def test_values_that_stay_within_an_epoch_do_not_change_too_little() -> None:
    tiny = EpochFunction(lambda epoch: 1.0 + epoch * 1e-9)
    assert Recipe(AdamW(), learning_rate=tiny).plan(updates_per_epoch=10, epochs=10).lint() == []


def test_values_that_cannot_be_used_are_findings() -> None:
    recipe = Recipe(
        AdamW(betas=(0.5, 0.999)),
        learning_rate=StepDecay(1e160, every="5 epochs", first="0 epochs"),
        weight_decay=Constant(1e308) * Table([0.5, 2.0], every="4 epochs"),
        momentum=Table([1, 2, 1], every="3 epochs"),
    )
    assert recipe.plan(updates_per_epoch=10, epochs=9).lint() == [
        "the learning_rate schedule at epoch 5, update 0: the value is too large for a float; bound it with "
        ".at_most(...) or .until(...).",
        "the weight_decay schedule at epoch 4, update 0: the value is too large for a float; bound it with "
        ".at_most(...) or .until(...).",
        "the momentum at epoch 3, update 0 is 1.0; expected a value of at least 0 and below 1.",
    ]


def test_a_momentum_without_a_base_value_has_no_bound() -> None:
    assert Recipe(momentum=Table([1, 2, 1], every="3 epochs")).plan(updates_per_epoch=10, epochs=9).lint() == []
