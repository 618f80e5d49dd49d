"""Each public attribute and method of Keras' optimizers has its effect on ours, or is refused in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from samestep import SGDW, AdamW
from samestep.keras import build_optimizer

BACKEND = keras.backend.backend()
SPEC = AdamW(0.125, 0.5, betas=(0.5, 0.9), clipvalue=2.0)
START, GRADIENT = np.array([[1.0], [-2.0]], "float32"), np.array([[0.5], [4.0]], "float32")
OPTIONS = {
    "use_ema": True,
    "ema_momentum": 0.5,
    "ema_overwrite_frequency": 3,
    "loss_scale_factor": 4.0,
    "gradient_accumulation_steps": 2,
}
CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")


class Made:
    """A model of two weights and its optimizer, which is built."""

    def __init__(self, spec: Any = SPEC, policy: str = "float32", build: bool = True, **options: Any) -> None:
        layer = keras.layers.Dense(1, use_bias=False, dtype=policy)
        self.model = keras.Sequential([keras.Input((2,)), layer])
        self.model.dtype_policy = keras.dtype_policies.get(policy)
        layer.set_weights([START])
        self.optimizer = build_optimizer(spec, self.model, **options)
        if build:
            self.optimizer.build(self.model.trainable_variables)

    def update(self, times: int = 1, gradient: np.ndarray = GRADIENT) -> np.ndarray:
        for _ in range(times):
            self.optimizer.apply([ops.convert_to_tensor(gradient)], self.model.trainable_variables)
        return self.weights()

    def weights(self) -> np.ndarray:
        return np.copy(ops.convert_to_numpy(self.model.trainable_variables[0]))

    def state(self) -> list[np.ndarray]:
        return [np.copy(ops.convert_to_numpy(each)) for each in self.optimizer.variables]


def updated(times: int) -> np.ndarray:
    return Made().update(times)


def refused(act: Callable[[], Any], *parts: str) -> None:
    with pytest.raises(TypeError, match=r"^found [^\n]+[;,] [^\n]+\.$") as caught:
        act()
    for part in parts:
        assert part in str(caught.value)


def new_variables() -> None:
    """A subclass may keep variables of its own: they are saved with the others."""
    made, store = Made(), dict[str, Any]()
    optimizer, reference = made.optimizer, made.model.trainable_variables[0]
    before = len(optimizer.variables)
    optimizer.add_variable((3,), initializer="ones", name="mine")
    optimizer.add_variable_from_reference(reference, name="mine_too")
    optimizer.add_optimizer_variables([reference], "mine_as_well")
    assert [tuple(each.shape) for each in optimizer.variables[before:]] == [(3,), (2, 1), (2, 1)]
    optimizer.save_own_variables(store)
    assert any(np.array_equal(value, np.ones(3)) for value in store.values())


def an_update() -> None:
    """However it is asked for."""
    expected = updated(1)
    assert not np.array_equal(expected, START)
    pairs = Made()
    pairs.optimizer.apply_gradients([(ops.convert_to_tensor(GRADIENT), pairs.model.trainable_variables[0])])
    assert np.array_equal(pairs.weights(), expected)
    known = Made()
    known.optimizer.apply([ops.convert_to_tensor(GRADIENT)])
    assert np.array_equal(known.weights(), expected)


def stateless() -> None:
    if BACKEND == "tensorflow":
        with pytest.raises(ValueError, match="stateless_apply is not supported with the TensorFlow backend"):
            Made().optimizer.stateless_apply([], [], [])
        return
    made = Made()
    state = [each.value for each in made.optimizer.variables]
    weights = [made.model.trainable_variables[0].value]
    # torch's kernels change tensors in place.
    state, weights = ([ops.copy(each) for each in tensors] for tensors in (state, weights))
    (new,), _ = made.optimizer.stateless_apply(state, [ops.convert_to_tensor(GRADIENT)], weights)
    assert np.array_equal(ops.convert_to_numpy(new), updated(1))


def assignments() -> None:
    made, variable = Made(), keras.Variable(np.ones(2, "float32"))
    made.optimizer.assign(variable, ops.convert_to_tensor(np.full(2, 3.0, "float32")))
    made.optimizer.assign_add(variable, ops.convert_to_tensor(np.full(2, 2.0, "float32")))
    made.optimizer.assign_sub(variable, ops.convert_to_tensor(np.full(2, 1.0, "float32")))
    assert ops.convert_to_numpy(variable).tolist() == [4.0, 4.0]


def building() -> None:
    made = Made(build=False)
    assert not made.optimizer.built
    made.update()
    assert made.optimizer.built
    before = made.state()
    made.optimizer.build(made.model.trainable_variables)
    assert all(map(np.array_equal, made.state(), before))


def exclusion() -> None:
    for policy in ("float32", "mixed_float16"):
        act = Made(policy=policy, build=False).optimizer.exclude_from_weight_decay
        refused(lambda: act(var_names=["bias"]), "ParameterRule(path=..., weight_decay=0)")  # noqa: B023


def averages() -> None:
    """Two updates, averaged by halves: the first is the average, the second moves it half way."""
    made = Made(use_ema=True, ema_momentum=0.5)
    first, second = made.update(), made.update()
    made.optimizer.finalize_variable_values(made.model.trainable_variables)
    np.testing.assert_allclose(made.weights(), (first + second) / 2, rtol=1e-6)
    overwritten = Made(use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2)
    np.testing.assert_allclose(overwritten.update(2), made.weights(), rtol=1e-6)


def configs() -> None:
    made = Made(**OPTIONS, name="mine")
    again = type(made.optimizer).from_config(made.optimizer.get_config())
    assert again.get_config() == made.optimizer.get_config()
    assert {name: getattr(again, name) for name in OPTIONS} == OPTIONS
    assert (again.name, again.spec) == ("mine", SPEC)


def iterations() -> None:
    """The bias correction is that of the count."""
    late = Made()
    late.optimizer.iterations.assign(1000)
    assert not np.array_equal(late.update(), updated(1))
    assert int(late.optimizer.iterations) == 1001


def values() -> None:
    for name, value in {"learning_rate": 0.125, "weight_decay": 0.5}.items():
        for policy in ("float32", "mixed_float16"):
            made = Made(policy=policy)
            optimizer = made.optimizer
            refused(lambda: setattr(optimizer, name, 0.75), f"found {name} = 0.75", f"Recipe({name}=...)")  # noqa: B023
        shown = getattr(made.optimizer.inner_optimizer, name)
        assert (float(shown), shown.numpy(), ops.convert_to_numpy(shown)) == (value,) * 3
        assert float(ops.convert_to_numpy(shown * 2)) == 2 * value
        for assigns in (shown.assign, shown.assign_add, shown.assign_sub):
            refused(lambda: assigns(0.75), f"found {name} = ", f"Recipe({name}=...)")  # noqa: B023


def clips() -> None:
    for policy in ("float32", "mixed_float16"):
        made = Made(policy=policy)
        for name in CLIPS:
            refused(lambda: setattr(made.optimizer, name, 1.0), f"found {name} = 1.0", "in the spec")  # noqa: B023
    assert [getattr(Made().optimizer, name) for name in CLIPS] == [None, 2.0, None]
    clipped = Made().update(gradient=np.array([[0.5], [2.0]], "float32"))
    assert np.array_equal(clipped, updated(1))


def stores() -> None:
    made, store = Made(), dict[str, Any]()
    made.update(3)
    made.optimizer.save_own_variables(store)
    again = Made()
    again.optimizer.load_own_variables(store)
    again.model.trainable_variables[0].assign(made.weights())
    assert np.array_equal(again.update(), made.update())


def weights_of_optimizers() -> None:
    """Also where the two were last trained with epochs of different length."""
    made, again = Made(), Made()
    made.update(3)
    made.optimizer.table.reserve(7)
    again.optimizer.set_weights(made.state())
    again.model.trainable_variables[0].assign(made.weights())
    assert np.array_equal(again.update(), made.update())
    with pytest.raises(ValueError, match=r"^[^\n]*found weights of another number or other shapes[^\n]*\.$"):
        again.optimizer.set_weights(made.state()[:-1])
    with pytest.raises(ValueError, match=r"^[^\n]*an optimizer that is not built[^\n]*\.$"):
        Made(build=False).optimizer.set_weights(made.state())


def all_variables() -> None:
    made = Made()
    made.optimizer.variables.clear()  # a copy, as Keras' own
    assert [tuple(each.shape) for each in made.optimizer.moments()["momentum"]] == [(2, 1)]
    assert {id(each) for each in made.optimizer.moments()["velocity"]} <= {id(v) for v in made.optimizer.variables}


def scaled_losses() -> None:
    made = Made(loss_scale_factor=4.0)
    assert float(made.optimizer.scale_loss(ops.convert_to_tensor(2.0))) == 8.0
    assert np.array_equal(made.update(gradient=GRADIENT * 4), updated(1))
    with pytest.raises(ValueError, match=r"^build_optimizer: found loss_scale_factor=4.0 [^\n]*\.$"):
        Made(policy="mixed_float16", loss_scale_factor=4.0)


def options() -> None:
    """They can be set until the optimizer is built, as given to the constructor."""
    for policy in ("float32", "mixed_float16"):
        for name, value in OPTIONS.items():
            made = Made(policy=policy, build=False)
            if (policy, name) == ("mixed_float16", "loss_scale_factor"):
                refused(lambda: setattr(made.optimizer, name, 4.0), "scales the loss dynamically")  # noqa: B023
                continue
            setattr(made.optimizer, name, value)
            inner = getattr(made.optimizer, "inner_optimizer", made.optimizer)
            assert getattr(inner, name) == value
            made.optimizer.build(made.model.trainable_variables)
            setattr(made.optimizer, name, value)
            refused(lambda: setattr(made.optimizer, name, 7), f"found {name} = 7", f"{name}=7)")  # noqa: B023
    accumulated = Made(build=False)
    accumulated.optimizer.gradient_accumulation_steps = 2
    assert np.array_equal(accumulated.update(), START)
    assert np.array_equal(accumulated.update(), updated(1))


def names() -> None:
    made = Made(name="mine")
    assert made.optimizer.name == "mine"
    made.optimizer.name = "other"
    assert made.optimizer.get_config()["name"] == "other"


CHECKS = {
    **dict.fromkeys(["add_optimizer_variables", "add_variable", "add_variable_from_reference"], new_variables),
    **dict.fromkeys(["apply", "apply_gradients", "update_step"], an_update),
    **dict.fromkeys(["assign", "assign_add", "assign_sub"], assignments),
    **dict.fromkeys(["build", "built"], building),
    **dict.fromkeys(["from_config", "get_config"], configs),
    **dict.fromkeys(["learning_rate", "weight_decay"], values),
    **dict.fromkeys(["load_own_variables", "save_own_variables"], stores),
    **dict.fromkeys(CLIPS, clips),
    **dict.fromkeys(["finalize_variable_values", "use_ema", "ema_momentum", "ema_overwrite_frequency"], averages),
    **dict.fromkeys(["scale_loss", "loss_scale_factor"], scaled_losses),
    "exclude_from_weight_decay": exclusion,
    "gradient_accumulation_steps": options,
    "iterations": iterations,
    "name": names,
    "set_weights": weights_of_optimizers,
    "stateless_apply": stateless,
    "variables": all_variables,
}


def test_every_public_name_is_accounted_for() -> None:
    kind = keras.optimizers.Optimizer
    public = {name for name in (*dir(kind), *vars(kind(learning_rate=0.5))) if not name.startswith("_")}
    assert public == set(CHECKS)


@pytest.mark.parametrize("check", dict.fromkeys(CHECKS.values()), ids=lambda check: check.__name__)
def test_it_has_its_effect_or_is_refused(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize("name", ["momentum", "nesterov", "beta_1", "beta_2", "epsilon", "amsgrad"])
def test_numbers_that_keras_own_optimizers_have_as_attributes_are_refused(name: str) -> None:
    for policy in ("float32", "mixed_float16"):
        made = Made(SGDW(0.5), policy=policy)
        refused(lambda: setattr(made.optimizer, name, 0.5), f"found {name} = 0.5")  # noqa: B023
