"""Watches the steps of a torch optimizer, also where it is wrapped in another one or torch does not call its hooks.

torch calls the hooks of `step` alone, and only if the optimizer called `Optimizer.__init__`. A wrapper such as timm's
Lookahead or Accelerate's does not; one such as SAM has methods of its own, which step the optimizer inside.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from torch.optim import Optimizer


def members(optimizer: Optimizer) -> list[Optimizer]:
    """An optimizer, the one inside it that updates the same parameters, the one inside that, and so on."""
    found = [optimizer]
    while True:
        own = _parameters(found[-1])
        inner = (each for each in vars(found[-1]).values() if isinstance(each, Optimizer) and each not in found)
        following = next((each for each in inner if own <= _parameters(each)), None)
        if following is None:
            return found
        found.append(following)


def shares_groups(outer: Optimizer, inner: Optimizer) -> bool:
    """Whether what is written into the groups of one is in those of the other."""
    pairs = outer.param_groups, inner.param_groups
    return len(pairs[0]) == len(pairs[1]) and all(one is other for one, other in zip(*pairs, strict=True))


def watch(optimizer: Optimizer, begun: Callable[[], None], ended: Callable[[], None]) -> Callable[[], None]:
    """Have something called before and after each update of an optimizer.

    A step within another, as of a wrapper's inner optimizer or of `super().step()`, belongs to the outermost.

    Args:
        optimizer: The optimizer.
        begun: Called before an update, possibly more than once.
        ended: Called after it, once.

    Returns:
        A function that ends this.
    """
    open_: list[int] = []  # the depth of the step in progress

    def begin(depth: int) -> None:
        if not open_ or depth <= open_[0]:  # a step that an exception ended is no longer in progress
            open_[:] = [depth]
            begun()

    def end(depth: int) -> None:
        if open_ == [depth]:
            open_.clear()
            ended()

    every = members(optimizer)
    stops: list[Callable[[], None]] = []
    if _bypasses(optimizer):
        stops.append(_watch_call(optimizer, functools.partial(begin, 0), functools.partial(end, 0)))
    for depth, each in enumerate(every, start=1):
        _complete(each)
        if _has_hooks(each):
            handles = (
                each.register_step_pre_hook(_hook(functools.partial(begin, depth))),
                each.register_step_post_hook(_hook(functools.partial(end, depth))),
            )
            stops += [handle.remove for handle in handles]

    def stop() -> None:
        for each in stops:
            each()

    return stop


def _parameters(optimizer: Optimizer) -> set[int]:
    return {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}


def _complete(optimizer: Optimizer) -> None:
    """Give an optimizer that lacks them the dictionaries that torch looks for once `zero_grad` has been called."""
    for name in ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks"):
        vars(optimizer).setdefault(name, OrderedDict())


def _has_hooks(optimizer: Optimizer) -> bool:
    """Whether its class's `step` calls hooks."""
    return getattr(type(optimizer).step, "hooked", False)


def _bypasses(optimizer: Optimizer) -> bool:
    """Whether a call of `step` may not reach the hooks."""
    return "step" in vars(optimizer) or not _has_hooks(optimizer)


def _hook(function: Callable[[], None]) -> Callable[..., None]:
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def hook(*_: object) -> None:
        function()

    return hook  # type: ignore[no-any-return]


def _watch_call(optimizer: Any, begin: Callable[[], None], end: Callable[[], None]) -> Callable[[], None]:
    """Watch the calls of this one object's `step`, whatever they run."""
    method = vars(optimizer).get("step")
    if not isinstance(getattr(method, "__func__", None), _Watched):
        former, step = method, optimizer.step
        method = optimizer.step = MethodType(_Watched(step, former), optimizer)
    watched = method.__func__
    watched.watchers.append(watcher := (begin, end))

    def stop() -> None:
        if watcher in watched.watchers:
            watched.watchers.remove(watcher)
        if watched.watchers or vars(optimizer).get("step") is not method:
            return  # something else has wrapped it since
        if watched.former is None:
            del optimizer.step
        else:
            optimizer.step = watched.former

    return stop


class _Watched:
    """The `step` of an object, and what is called before and after it.

    Args:
        step: The method that it takes the place of.
        former: The object's own attribute of that name, if it had one.
    """

    def __init__(self, step: Callable[..., Any], former: Any) -> None:
        functools.update_wrapper(self, step)
        self.step, self.former = step, former
        self.watchers: list[tuple[Callable[[], None], Callable[[], None]]] = []

    def __call__(self, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        for begin, _ in self.watchers:
            begin()
        result = self.step(*args, **kwargs)
        for _, end in self.watchers:
            end()
        return result
