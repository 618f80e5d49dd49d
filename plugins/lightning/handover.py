"""Hands a run over: from Lightning to a file, and from a file to a checkpoint that Lightning continues from."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..core.arguments.check import checks_arguments
from ..core.callbacks.errors import hand_over_error
from ..core.checkpoints.saved import KEY, Saved
from ..core.specs.records import record_of
from ..exchange import Exchange, Names, ParameterState, check_kinds, kinds_of, mapped, read, replaced, write
from ..torch.optimizers import RECORDS
from ..torch.optimizers.record import TorchRecord
from ..torch.parameters import is_sharded, parameters
from ..torch.shared_layouts import layouts
from .base_callback import modules
from .progress import ProgressKeeper
from .trainer import callbacks_of

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule
else:
    LightningModule = Any


@checks_arguments
def export_state(path: str | os.PathLike[str], model: LightningModule) -> None:
    """Write the position of a model's training, its recipe, and the moments of its parameters to a file.

    Args:
        path: The file, replaced atomically: there is always either the old file or the new one.
        model: A model that a Trainer has trained, or is training, with samestep callbacks, at the end of an epoch. The
            file does not include its weights.

    Raises:
        ValueError: The run is within an epoch; no samestep callback has trained the model; it is sharded over devices;
            or build_optimizer did not make its optimizer.
    """
    trainer = getattr(model, "_trainer", None)
    if trainer is None:
        raise hand_over_error("export_state", "a model that no Trainer has trained", "train it first")
    checkpoint: dict[str, Any] = {}
    for callback in callbacks_of(trainer):
        if isinstance(callback, ProgressKeeper):
            callback.on_save_checkpoint(trainer, model, checkpoint)
    progress, batches = trainer.fit_loop.epoch_progress.current, trainer.fit_loop.epoch_loop.batch_progress
    within = progress.ready > progress.completed
    if within and not batches.is_last_batch:
        raise hand_over_error(
            "export_state", f"a run within epoch {progress.completed}", "call it at the end of an epoch"
        )
    if KEY not in checkpoint:
        raise hand_over_error("export_state", "a training without samestep callbacks", "train with one of them")
    saved = Saved.from_dict(checkpoint[KEY]).at_epoch(progress.completed + within)
    optimizers = _ours("export_state", trainer.optimizers)
    saved = _without_later_groups(saved, optimizers)
    if any(is_sharded(parameter) for parameter in model.parameters()):
        raise hand_over_error("export_state", "a model sharded over devices", "export an unsharded one")
    path_of = {id(parameter): described.path for described, parameter in parameters(model)}
    made = trainer.global_step if len(optimizers) == 1 else 0
    found = {
        path_of[id(each)]: _parameter(optimizer.state.get(each, {}), made, _record(optimizer))
        for optimizer in optimizers
        for group in optimizer.param_groups
        for each in group["params"]
        if id(each) in path_of
    }
    if trainer.is_global_zero:
        write(path, Exchange(saved, kinds_of(optimizer.spec for optimizer in optimizers), found, layouts(model)))


@checks_arguments
def import_state(path: str | os.PathLike[str], model: LightningModule, names: Names | None = None) -> Path:
    """Turn a file of `export_state` into a checkpoint from which a Trainer continues the run::

        trainer.fit(model, ..., ckpt_path=import_state("run.npz", model, names))

    Args:
        path: A file written by `export_state`, in either framework. The checkpoint is written next to it, with `.ckpt`
            added to its name, and has the model's current weights.
        model: The model that continues the run; its configure_optimizers returns optimizers made by build_optimizer.
        names: For each layer or parameter of this model (its path as describe_parameters shows it) whose path differs,
            its path in the file. The layouts of layers that both frameworks have are known; for a parameter of another,
            give a pair of its path and the axes of the file's arrays in this model's order, such as ("mix/w", (1, 0)).

    Returns:
        The path of the checkpoint.

    Raises:
        ValueError: The file is damaged, or parameters or optimizers do not match. The model is not changed.
    """
    exchange = read(path)
    optimizers = _ours("import_state", _configured(model))
    check_kinds(exchange, (optimizer.spec for optimizer in optimizers))
    named = {described.path: parameter for described, parameter in parameters(model)}
    shapes = {name: tuple(parameter.shape) for name, parameter in named.items()}
    theirs = mapped(exchange, shapes, names, layouts(model))
    of_parameter = {id(named[name]): each for name, each in theirs.items()}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for each in group["params"]:
                if id(each) in of_parameter and of_parameter[id(each)].updates:
                    optimizer.state[each] = _state(of_parameter[id(each)], each, _record(optimizer))
    made = max((each.updates for each in theirs.values()), default=0)
    checkpoint = {
        **_beginning(exchange.saved.epoch, made, model.automatic_optimization),
        "state_dict": model.state_dict(),
        "optimizer_states": [optimizer.state_dict() for optimizer in optimizers],
        KEY: exchange.saved.to_dict(),
    }
    target = Path(f"{os.fspath(path)}.ckpt")
    with replaced(target) as file:
        torch.save(checkpoint, file)
    return target


def _without_later_groups(saved: Saved, optimizers: Sequence[Any]) -> Saved:
    """What was saved, where each group that was added follows the recipe alone, as any group of the next run will."""
    for number, progress in saved.optimizers.items():
        spec, multipliers = optimizers[number].spec, optimizers[number].multipliers
        for index, group in progress.later.items():
            for name, base in group.bases.items():
                if base != getattr(spec, name) * getattr(multipliers[index], name, 1.0):
                    raise hand_over_error(
                        "export_state",
                        f"a parameter group that was added with a {name} of its own, {base!r}",
                        "add groups with the numbers of the recipe and its rules alone",
                    )
    optimizers_of = {number: replace(progress, later={}) for number, progress in saved.optimizers.items()}
    return replace(saved, optimizers=optimizers_of)


def _ours(who: str, optimizers: Any) -> list[Any]:
    for optimizer in optimizers:
        if getattr(optimizer, "spec", None) is None:
            raise hand_over_error(
                who, f"the optimizer {type(optimizer).__name__}", "build it with build_optimizer(spec, model)"
            )
    return list(optimizers)


def _record(optimizer: Any) -> TorchRecord:
    return record_of(RECORDS, optimizer.spec, "samestep.lightning")


def _parameter(state: dict[str, Any], made: int, record: TorchRecord) -> ParameterState:
    """The state that torch keeps of a parameter, after `made` updates of its optimizer."""
    kept = {name: state[key].detach().cpu() for key, name in record.moments.items() if state.get(key) is not None}
    # NumPy has no bfloat16; float32 represents all its values.
    moments = {name: (each.float() if each.dtype == torch.bfloat16 else each).numpy() for name, each in kept.items()}
    product = float(state[record.product]) if record.product in state else None
    return ParameterState(int(state["step"]) if "step" in state else made if state else 0, moments, product)


def _state(parameter: ParameterState, tensor: torch.Tensor, record: TorchRecord) -> dict[str, Any]:
    """The state that torch would keep of a parameter, on its device and in its dtype."""
    keys = {name: key for key, name in record.moments.items()}
    state: dict[str, Any] = {
        keys[name]: torch.tensor(array).to(tensor.device, tensor.dtype) for name, array in parameter.moments.items()
    }
    if record.counts:
        state["step"] = torch.tensor(float(parameter.updates))
    if record.product is not None and parameter.product is not None:
        state[record.product] = torch.tensor(parameter.product)
    return state


def _configured(model: LightningModule) -> list[Any]:
    """The optimizers that configure_optimizers returns."""
    made: Any = model.configure_optimizers()
    if isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], (list, tuple)):
        made = made[0]
    every = made if isinstance(made, (list, tuple)) else [made]
    return [each["optimizer"] if isinstance(each, dict) else each for each in every]


def _beginning(epoch: int, made: int, automatic: bool) -> dict[str, Any]:
    """The entries of a Lightning checkpoint between two epochs, taken from a new Trainer."""
    with _quiet():
        trainer = modules[0].Trainer(logger=False, enable_checkpointing=False, accelerator="cpu", devices=1)
    loop = trainer.fit_loop
    for progress in (loop.epoch_progress.current, loop.epoch_progress.total):
        progress.ready = progress.started = progress.processed = progress.completed = epoch
    step = (
        loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step
        if automatic
        else loop.epoch_loop.manual_optimization.optim_step_progress
    )
    step.total.ready = step.total.completed = made
    loop.epoch_loop._batches_that_stepped = made
    return {
        "epoch": epoch,
        "global_step": made,
        "pytorch-lightning_version": modules[0].__version__,
        "loops": {"fit_loop": loop.state_dict()},
        "callbacks": {},
        "lr_schedulers": [],
    }


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence a Trainer's message about available devices."""
    loggers = [logging.getLogger(f"{module.__name__}.utilities.rank_zero") for module in modules]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
