"""keras-adamw's updates, written from its formulas in float64, and what `from_keras_adamw` makes of its arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from samestep import Recipe, from_keras_adamw
from samestep.core.specs.parameter_table import ParameterTable
from samestep.lightning import build_optimizer
from samestep.torch.parameters import parameters

CYCLE, UPDATES, PER_EPOCH = 24, 60, 12  # two restarts
SHAPES = {"conv1d/kernel": (4, 3), "conv1d_1/kernel": (5,), "dense/kernel": (3, 2), "dense/bias": (2,)}
DECAYS = {"conv1d/kernel:0": (1e-3, 2e-3), "dense/kernel:0": (0.0, 3e-3), "conv1d_1/kernel:0": (4e-3, 0.0)}
ARGUMENTS: dict[str, Any] = {
    "total_iterations": CYCLE,
    "use_cosine_annealing": True,
    "eta_min": 0.1,
    "eta_max": 1.5,
    "weight_decays": DECAYS,
    "lr_multipliers": {"conv1d/": 0.5, "conv1d": 2.0},
    "decay": 0.01,
}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("AdamW", {}),
    ("AdamW", {"amsgrad": True, "total_iterations_wd": 100}),
    ("NadamW", {}),
    ("NadamW", {"schedule_decay": 0.1}),
    ("SGDW", {}),
    ("SGDW", {"momentum": 0.9}),
    ("SGDW", {"momentum": 0.9, "nesterov": True, "decay": 0.0, "t_cur": 7}),
    ("AdamW", {"eta_min": 0.0, "eta_max": 1.0, "lr_multipliers": {}}),
]


def starts() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {name: generator.standard_normal(shape) for name, shape in SHAPES.items()}


def gradients(update: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(update + 1)
    return {name: generator.standard_normal(shape) * 10.0 ** -(update % 5) for name, shape in SHAPES.items()}


def theirs(optimizer: str, defect: str = "", **arguments: Any) -> dict[str, np.ndarray]:
    """K1 to K4, K6, K7 and K10 of keras-adamw 1.38, as its README and its older files have them."""
    given = {"t_cur": 0, "amsgrad": False, "momentum": 0.0, "nesterov": False, "schedule_decay": 0.004, **arguments}
    alpha, beta_1, beta_2, epsilon = {"SGDW": 0.01}.get(optimizer, 0.001), 0.9, 0.999, 1e-7
    thetas = starts()
    m, v, largest, u = ({name: np.zeros(shape) for name, shape in SHAPES.items()} for _ in range(4))
    product, t_cur = 1.0, given["t_cur"]
    for k in range(UPDATES):
        t = k + 1
        span = given["eta_max"] - given["eta_min"]
        eta = given["eta_min"] + 0.5 * span * (1 + np.cos(np.pi * t_cur / (CYCLE - 1)))  # K6
        if defect == "first update" and k == 0:
            eta = 1.0
        t_cur = 0 if t_cur == CYCLE - 1 else t_cur + 1  # K7
        mu, following = (beta_1 * (1 - 0.5 * 0.96 ** (n * given["schedule_decay"])) for n in (t, t + 1))
        product *= mu
        accumulated = 1.0
        for name, g in gradients(k).items():
            own = next((factor for part, factor in given["lr_multipliers"].items() if part in name), 1.0)  # K10
            accumulated *= own
            rate = alpha / (1 + given["decay"] * k) * (accumulated if defect == "multipliers" else own)
            theta = thetas[name]
            m[name] = beta_1 * m[name] + (1 - beta_1) * g
            v[name] = beta_2 * v[name] + (1 - beta_2) * g**2
            largest[name] = np.maximum(largest[name], v[name])
            if optimizer == "AdamW":  # K1
                root = np.sqrt(largest[name] if given["amsgrad"] else v[name])
                change = -eta * rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m[name] / (root + epsilon)
            elif optimizer == "NadamW":  # K2
                m_hat, v_hat = m[name] / (1 - product * following), v[name] / (1 - beta_2**t)
                of_moment = mu if defect == "mu" else following
                m_bar = (1 - mu) * g / (1 - product) + of_moment * m_hat
                change = (
                    -eta * rate * m_bar / (np.sqrt(v_hat + epsilon) if defect == "root" else np.sqrt(v_hat) + epsilon)
                )
            else:  # K3
                u[name] = given["momentum"] * u[name] - eta * rate * g
                change = given["momentum"] * u[name] - eta * rate * g if given["nesterov"] else u[name]
            l1, l2 = given["weight_decays"].get(f"{name}:0", (0.0, 0.0))
            s = np.sqrt(1 / given.get("total_iterations_wd", CYCLE))
            thetas[name] = theta + change - eta * (l1 * s * np.sign(theta) + l2 * s * theta)  # K4
    return thetas


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        for path, value in starts().items():
            layer, name = path.split("/")
            if not hasattr(self, layer):
                setattr(self, layer, torch.nn.Module())
            setattr(getattr(self, layer), name, torch.nn.Parameter(torch.tensor(value)))


def ours(recipe: Recipe) -> dict[str, np.ndarray]:
    model = Model()
    optimizer: Any = build_optimizer(recipe.optimizer, model)
    plan = recipe.plan(PER_EPOCH, UPDATES // PER_EPOCH)
    bases = [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups]
    named = {name.replace(".", "/"): parameter for name, parameter in model.named_parameters()}
    for k in range(UPDATES):
        for group, (rate, decay) in zip(optimizer.param_groups, bases, strict=True):
            group["lr"] = plan.value("learning_rate", *divmod(k, PER_EPOCH), rate)
            group["weight_decay"] = plan.value("weight_decay", *divmod(k, PER_EPOCH), decay)
        for name, gradient in gradients(k).items():
            named[name].grad = torch.tensor(gradient)
        optimizer.step()
    return {name: parameter.detach().numpy() for name, parameter in named.items()}


@pytest.mark.parametrize(("optimizer", "arguments"), CASES)
def test_the_recipe_makes_the_updates_of_keras_adamw_over_two_restarts(
    optimizer: Any, arguments: dict[str, Any]
) -> None:
    given = {**ARGUMENTS, **arguments}
    got, expected = ours(from_keras_adamw(optimizer, **given)), theirs(optimizer, **given)
    for name, start in starts().items():
        assert np.abs(expected[name] - start).max() > 1e-3
        # torch keeps NAdam's product of the momenta in float32.
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-8 if optimizer == "NadamW" else 1e-11)


@pytest.mark.parametrize(
    ("optimizer", "defect"),
    [("NadamW", "mu"), ("NadamW", "root"), ("AdamW", "multipliers"), ("AdamW", "first update")],
)
def test_its_defects_would_be_seen(optimizer: Any, defect: str) -> None:
    """K2 in version 2's dense path (mu of this update; epsilon in the root), K10 in version 1's AdamW, K8."""
    got, defective = ours(from_keras_adamw(optimizer, **ARGUMENTS)), theirs(optimizer, defect, **ARGUMENTS)
    assert max(np.abs(got[name] / defective[name] - 1).max() for name in SHAPES) > 1e-6


def test_no_weight_decay_is_lost_in_the_recipe() -> None:
    spec: Any = from_keras_adamw(**ARGUMENTS).optimizer
    table = ParameterTable.of(spec, [parameter for parameter, _ in parameters(Model())])
    for row in table:
        l1, l2 = DECAYS.get(f"{row.path}:0", (0.0, 0.0))
        assert row.weight_decay * row.l1_ratio == pytest.approx(l1)
        assert row.weight_decay * (1 - row.l1_ratio) == pytest.approx(l2)
