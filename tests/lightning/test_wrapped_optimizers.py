"""Optimizers that torch's hooks do not reach: every update is counted, or training stops at the first."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins import MixedPrecision
from torch.optim import SGD, Optimizer

from samestep import SGDW, LinearDecay, Recipe, Warmup, updates
from samestep.lightning import EpochGatedDecay, HyperparameterScheduler, TraceRecorder, build_optimizer

from .optimizer_wrappers import SAM, Accelerated, ByItself, Combined, Counting, ForgetfulSAM, Lookahead, OldLookahead
from .tiny_training import QUIET

HOOKS = "_optimizer_step_pre_hooks", "_optimizer_step_post_hooks"
Update = Callable[[Any, Callable[[], Any]], None]
PLANNED = [0.8 * factor for factor in (1, 0.75, 0.5, 0.25)]


RECIPE = Recipe(learning_rate=LinearDecay("4 updates"))


def step(optimizer: Any, gradients: Callable[[], Any]) -> None:
    gradients()
    optimizer.step()


def closure(optimizer: Any, gradients: Callable[[], Any]) -> None:
    optimizer.step(gradients)


def two_steps(optimizer: Any, gradients: Callable[[], Any]) -> None:
    gradients()
    optimizer.first_step(zero_grad=True)
    gradients()
    optimizer.second_step(zero_grad=True)


def second_step(optimizer: Any, gradients: Callable[[], Any]) -> None:
    gradients()
    optimizer.second_step()


class Moving(pl.LightningModule):
    """Two weights with gradient 1, and how far each batch moved the first."""

    def __init__(self, make: Callable[[Any], Any], update: Update | None = None) -> None:
        super().__init__()
        self.make, self.update = make, update
        self.automatic_optimization = update is None
        self.weights = torch.nn.ParameterList(torch.zeros(2, dtype=torch.float64) for _ in range(2))
        self.moved: list[float] = []
        self.batches = 0

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> Any:
        self.batches += 1
        with torch.no_grad():
            for weight in self.weights:
                weight.zero_()

        def gradients() -> Any:
            self.zero_grad()
            loss = torch.cat(list(self.weights)).sum()
            self.manual_backward(loss)
            return loss

        if self.update is None:
            return torch.cat(list(self.weights)).sum()
        self.update(self.optimizers(), gradients)
        return None

    def on_train_batch_end(self, *_: Any) -> None:
        self.moved.append(-self.weights[0][0].item())

    def configure_optimizers(self) -> Any:
        return self.make(list(self.weights))


def train(module: pl.LightningModule, *callbacks: Any, batches: int = 4, fit: Any = None, **options: Any) -> pl.Trainer:
    trainer = pl.Trainer(callbacks=list(callbacks), **{**QUIET, "max_epochs": 1, **options})
    trainer.fit(module, torch.utils.data.DataLoader(torch.zeros(batches)), **(fit or {}))
    return trainer


def driver(module: Moving, recipe: Recipe | None = None, **options: Any) -> HyperparameterScheduler:
    by_hand = {} if module.automatic_optimization else {"updates_per_epoch": 4}
    return HyperparameterScheduler(recipe or Recipe(learning_rate=LinearDecay("100%")), **{**by_hand, **options})


def inside(wrap: Callable[..., Optimizer]) -> Callable[[Any], Any]:
    return lambda parameters: wrap(SGD(parameters, lr=0.8))


def replaced(parameters: Any) -> SGD:
    """One whose step is a function of the program's own."""
    optimizer = SGD(parameters, lr=0.8)

    def own_step(closure: Any = None) -> Any:
        loss = None if closure is None else closure()
        with torch.no_grad():
            for p in parameters:
                p.sub_(optimizer.param_groups[0]["lr"] * p.grad)
        return loss

    optimizer.step = own_step  # type: ignore[method-assign,assignment]
    return optimizer


def halves(parameters: Any) -> Combined:
    return Combined(*(SGD([parameter], lr=0.8) for parameter in parameters))


def sam(parameters: Any) -> SAM:
    return SAM(parameters, SGD, lr=0.8)


def counting(parameters: Any) -> Counting:
    SGD(parameters, lr=0.8)  # torch hooks a class's step when the first of it is made
    return Counting(parameters, lr=0.8)


def lbfgs(parameters: Any) -> torch.optim.LBFGS:
    return torch.optim.LBFGS(parameters, lr=0.8, max_iter=1, history_size=1)


AUTOMATIC: dict[str, Callable[[Any], Any]] = {
    "torch's": functools.partial(SGD, lr=0.8),
    "Lookahead": inside(Lookahead),
    "Lookahead without dictionaries": inside(OldLookahead),
    "Lookahead around SAM": lambda parameters: Lookahead(sam(parameters)),
    "Accelerate": inside(Accelerated),
    "Accelerate around Lookahead": inside(lambda inner: Accelerated(Lookahead(inner))),
    "SAM": sam,
    "several inside": halves,
    "step calls torch's": counting,
    "step replaced": replaced,
}
BY_HAND: dict[str, tuple[Callable[[Any], Any], Update]] = {
    **{name: (make, closure if "SAM" in name else step) for name, make in AUTOMATIC.items()},
    "SAM, first and second step": (sam, two_steps),
    "Accelerate around SAM": (lambda parameters: Accelerated(sam(parameters)), closure),
    "LBFGS": (lbfgs, closure),
}


@pytest.mark.parametrize("name", AUTOMATIC)
def test_every_update_of_automatic_optimization_is_counted(name: str) -> None:
    module, recorder = Moving(AUTOMATIC[name]), TraceRecorder()
    train(module, driver(module, verify=True), recorder)
    assert module.moved == PLANNED
    assert recorder.trace.column("learning_rate") == PLANNED


@pytest.mark.parametrize("name", BY_HAND)
def test_every_update_made_by_hand_is_counted(name: str) -> None:
    make, update = BY_HAND[name]
    module, recorder = Moving(make, update), TraceRecorder()
    train(module, driver(module, verify=True), recorder)
    assert recorder.trace.column("learning_rate") == PLANNED
    if name != "LBFGS":  # whose first update is shorter
        assert module.moved == PLANNED


def test_a_warmup_from_0_does_not_stay_at_0() -> None:
    module = Moving(sam, two_steps)
    train(module, driver(module, Recipe(learning_rate=Warmup("6 updates")), updates_per_epoch=8), batches=8)
    assert module.moved == [0.8 * (n / 6) for n in range(6)] + [0.8, 0.8]


@pytest.mark.parametrize("name", ["Lookahead", "SAM", "several inside", "step replaced"])
def test_nothing_is_left_on_the_optimizer(name: str) -> None:
    module = Moving(AUTOMATIC[name])
    trainer = train(module, driver(module, verify=True), TraceRecorder())
    optimizer: Any = trainer.optimizers[0]
    fresh: Any = AUTOMATIC[name](list(module.weights))
    fresh.zero_grad()  # where torch looks whether a step has its hooks
    assert not vars(optimizer).keys() - vars(fresh).keys() - {*HOOKS}
    if name == "step replaced":
        assert optimizer.step.__name__ == "own_step"
    for hooks in HOOKS:
        assert not getattr(optimizer, hooks, {})


@pytest.mark.parametrize("make", [inside(Lookahead), inside(Accelerated), functools.partial(SGD, lr=0.8, fused=True)])
def test_an_update_that_the_loss_scaler_skips_is_not_counted(make: Callable[[Any], Any]) -> None:
    """Whether the scaler leaves the step out, or torch's fused kernel does."""

    class Overflowing(Moving):
        def training_step(self, batch: torch.Tensor, batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)
            return loss * float("inf") if batch_idx == 0 else loss

    module, recorder = Overflowing(make), TraceRecorder()
    precision = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=2.0))
    train(module, driver(module, RECIPE), recorder, batches=5, plugins=[precision])
    assert recorder.trace.column("learning_rate") == PLANNED
    assert module.moved == [0, *PLANNED]


@pytest.mark.parametrize(
    "recipe", [Recipe(learning_rate=LinearDecay("100%")), Recipe(learning_rate=Warmup("6 updates"))]
)
@pytest.mark.parametrize("replaces", [False, True])
def test_an_update_that_cannot_be_counted_stops_training_at_once(
    recipe: Recipe, replaces: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the learning rate begins at 0, so that the weights stay as they are."""
    monkeypatch.setattr(ByItself, "replaces", replaces)
    module = Moving(functools.partial(ByItself, lr=0.8), second_step)
    with pytest.raises(ValueError, match="weights of the optimizer ByItself that were updated without") as caught:
        train(module, driver(module, recipe))
    assert module.batches == 1
    assert "\n" not in str(caught.value)


def test_so_does_one_that_an_optimizer_step_of_the_module_makes() -> None:
    class Own(Moving):
        def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
            optimizer_closure()
            optimizer.second_step()

    module = Own(functools.partial(ByItself, lr=0.8))
    with pytest.raises(ValueError, match="updated without a call of its step"):
        train(module, driver(module))
    assert module.batches == 1


def test_a_schedule_of_whole_epochs_needs_no_count() -> None:
    module = Moving(functools.partial(ByItself, lr=0.8), second_step)
    train(module, EpochGatedDecay(0.5, start_epoch=1), max_epochs=2)
    assert module.moved == [0.8] * 4 + [0.4] * 4


def test_weights_that_the_program_writes_itself_are_no_updates() -> None:
    """Some of them, in batches without an update; or all of them, where another optimizer updates them."""

    class Prototypes(Moving):
        def training_step(self, batch: torch.Tensor, batch_idx: int) -> Any:
            with torch.no_grad():
                self.weights[0].copy_(torch.nn.functional.normalize(torch.randn(2, dtype=torch.float64), dim=0))
            return torch.cat(list(self.weights)).sum()

    module = Prototypes(functools.partial(SGD, lr=0.8))
    train(module, driver(module), accumulate_grad_batches=2)

    class Shared(Moving):
        def training_step(self, batch: torch.Tensor, batch_idx: int) -> Any:
            first, second = self.optimizers()  # type: ignore[misc]
            self.manual_backward(torch.cat(list(self.weights)).sum())
            (first if batch_idx < 2 else second).step()

    module = Shared(lambda parameters: [SGD(parameters, lr=0.8), SGD(parameters, lr=0.4)], step)
    train(module, HyperparameterScheduler({0: RECIPE, 1: RECIPE}, updates_per_epoch=4))


def test_groups_that_part_from_those_of_the_optimizer_inside_are_noticed(tmp_path: Any) -> None:
    """As when a checkpoint is loaded: the values would be written where nothing reads them."""
    for kind in (SAM, ForgetfulSAM):
        module = Moving(lambda parameters, kind=kind: kind(parameters, SGD, lr=0.8), two_steps)
        path = tmp_path / f"{kind.__name__}.ckpt"
        run: Any = functools.partial(
            HyperparameterScheduler, Recipe(learning_rate=LinearDecay("100%")), updates_per_epoch=4
        )
        train(module, run(), max_epochs=2, limit_train_batches=4).save_checkpoint(path)
        rest = {"ckpt_path": path}
        if kind is SAM:
            train(module, run(), max_epochs=3, fit=rest)
            continue
        with pytest.raises(ValueError, match="ForgetfulSAM with another learning_rate than the SGD inside it"):
            train(module, run(), max_epochs=3, fit=rest)


def test_hooks_of_the_user_are_called_as_before() -> None:
    called: list[str] = []

    def make(parameters: Any) -> Optimizer:
        optimizer = counting(parameters)
        optimizer.register_step_post_hook(lambda *_: called.append("own"))
        return optimizer

    module = Moving(make)
    train(module, driver(module), TraceRecorder())
    assert called == ["own"] * 8  # torch's doing: twice an update


def test_an_optimizer_inside_knows_that_it_is_driven() -> None:
    """It was built for a recipe, and would warn of a forgotten callback."""
    recipe = Recipe(SGDW(0.8), learning_rate=LinearDecay("100%"))
    module = Moving(lambda parameters: Lookahead(build_optimizer(recipe, torch.nn.ParameterList(parameters))))
    train(module, driver(module))
    assert module.moved == PLANNED


def test_updates_alone_are_counted() -> None:
    """A step that raised does not count, and the next one does."""

    class Failing(Moving):
        def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
            def failing() -> Any:
                optimizer_closure()
                if batch_idx == 1:
                    raise MemoryError
                return None

            try:
                optimizer.step(failing)
            except MemoryError:
                optimizer.zero_grad()

    for make in (sam, inside(Lookahead), functools.partial(SGD, lr=0.8)):
        module = Failing(make)
        recorder = TraceRecorder()
        train(module, driver(module, Recipe(learning_rate=LinearDecay(updates(4)))), recorder, batches=5)
        assert recorder.trace.column("learning_rate") == PLANNED
