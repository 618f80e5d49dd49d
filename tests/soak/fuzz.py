"""Mutated recipes, states and checkpoints: what they raise, how long it takes, and that nothing in them is executed."""

from __future__ import annotations

import codecs
import copy
import json
import random
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sweep import Case, Sweep

import samestep
from samestep import (
    AdamW,
    Clock,
    CosineDecay,
    ParameterRule,
    Position,
    Recipe,
    StepDecay,
    Warmup,
    epochs,
    exchange,
    percent,
)
from samestep.core.checkpoints.resuming import check_loaded, driver_before, resumed
from samestep.core.checkpoints.saved import Driver, Saved
from samestep.core.checkpoints.sealing import seal
from samestep.core.policies.plateau_policy import PlateauPolicy
from samestep.core.policies.recipe_policy import RecipePolicy
from samestep.core.schedules.durations import updates

INPUTS = 120_000
AT_A_TIME = 2_000
SLOWEST = 1.0  # seconds of the processor that an input may take
OURS = str(Path(samestep.__file__).parent)
FORBIDDEN = ("pickle.find_class", "exec", "os.system", "os.exec", "subprocess.Popen", "ctypes.dlopen", "socket.connect")

_ONE_AT_A_TIME = threading.Lock()
codecs.lookup("cp437")  # what a zip file's names may be in: the import of it is not to be taken for an execution

RECIPE = Recipe(
    AdamW(1e-3, 0.01, parameters=[ParameterRule(role=["bias"], weight_decay=0)]),
    learning_rate=Warmup(over=updates(3)) * CosineDecay(over=percent(100)).repeat(epochs(2), growth=1.5, decay=0.5),
    weight_decay=StepDecay(0.5, every=epochs(1)).after("1 epoch").at_least(0.1),
)
CLOCK = Clock(4, 3)
RECIPE_POLICY = RecipePolicy(RECIPE, who="HyperparameterScheduler")
PLATEAU_POLICY = PlateauPolicy("val_loss", who="ReduceOnPlateau")
SCALARS: list[Any] = [
    None, True, False, 0, 1, -1, 2, 10**30, 10**400, -(10**400), 0.0, -0.0, 1e-320, 1e308, float("nan"), float("inf"),
    "", "x", "5 epochs", "-5 epochs", "1/0 epochs", "9" * 5000 + " epochs", "0." + "9" * 5000 + " updates", "1e999999%",
    "inf epochs", "\0", "\ud800", "é" * 300, "__class__", "os:system", "StepDecay", "Product", "AdamW", b"bytes",
    [], {}, [[]], {"type": "StepDecay"}, {"type": "__class__"}, {"type": ["Constant"]}, {1: 2}, (1, 2), {"type": None},
]  # fmt: skip


def main_objects() -> dict[str, Any]:
    """What is mutated: data as it is written."""
    scores = tuple([epoch, 1.0 / (epoch + 1)] for epoch in range(5))
    drivers = (
        Driver(RECIPE_POLICY.kind, RECIPE.driven, RECIPE_POLICY.settings(), CLOCK),
        Driver(PLATEAU_POLICY.kind, PLATEAU_POLICY.driven, PLATEAU_POLICY.settings(), CLOCK, scores, reduces=True),
    )
    saved = Saved(2).with_progress(0, 3, *drivers)
    return {"recipe": RECIPE.to_dict(), "state": saved.to_dict(), "second": second_version(saved), "saved": saved}


def second_version(saved: Saved) -> dict[str, Any]:
    """A state as version 2 wrote it."""
    former = {"policy": "callback", "state": "memory"}
    data = {key: value for key, value in saved.to_dict().items() if key != "digest"}
    for progress in data["optimizers"].values():
        progress["drivers"] = [{former.get(key, key): each[key] for key in each} for each in progress["drivers"]]
        for driver, name in zip(progress["drivers"], ("HyperparameterScheduler", "OfTheUser"), strict=True):
            driver["callback"] = name
    return seal({**data, "version": 2})


def scalar(generator: random.Random) -> Any:
    """Something that need not fit anywhere."""
    return copy.deepcopy(generator.choice(SCALARS))


def nested(depth: int, generator: random.Random) -> Any:
    """A list or dictionary of this depth."""
    value = scalar(generator)
    for _ in range(depth):
        value = [value] if generator.random() < 0.5 else {"type": "Product", "left": value, "right": {}}
    return value


def mutated(data: Any, generator: random.Random) -> Any:
    """A copy of plain data with one to four changes anywhere in it."""
    data = copy.deepcopy(data)
    for _ in range(generator.randint(1, 4)):
        places = list(_places(data))
        if not places:
            return scalar(generator)
        holder, key = generator.choice(places)
        what = generator.random()
        if what < 0.45:
            holder[key] = scalar(generator)
        elif what < 0.6:
            del holder[key]
        elif what < 0.7 and isinstance(holder, dict):
            holder[generator.choice(["x", "type", "version", "digest", "every", 7])] = scalar(generator)
        elif what < 0.8:
            other, its = generator.choice(places)
            holder[key] = other[its]
        elif what < 0.9:
            holder[key] = nested(generator.choice([1, 5, 50, 3000]), generator)
            return data
        else:
            holder[key] = [holder[key]] * generator.randint(0, 3)
    return data


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    stack, seen = [data], set[int]()
    while stack:
        each = stack.pop()
        if id(each) in seen:  # a change has put something into itself
            continue
        seen.add(id(each))
        keys = list(each) if isinstance(each, dict) else range(len(each)) if isinstance(each, list) else []
        for key in keys:
            yield each, key
            stack.append(each[key])


def damaged(content: bytes, generator: random.Random) -> bytes:
    """Bytes with flipped, lost, doubled or foreign ones among them."""
    made = bytearray(content)
    for _ in range(generator.randint(1, 3)):
        at = generator.randrange(len(made) + 1)
        what = generator.random()
        if what < 0.5 and at < len(made):
            made[at] ^= 1 << generator.randrange(8)
        elif what < 0.65:
            del made[at:]
        elif what < 0.8:
            del made[at : at + generator.randint(1, 20)]
        elif what < 0.9:
            made[at:at] = bytes(generator.randrange(256) for _ in range(generator.randint(1, 20)))
        else:
            made[at : at + 8] = made[:8]
    return bytes(made)


def recipe_of(data: Any) -> None:
    """Read a recipe, and ask for some of its values."""
    plan = Recipe.from_dict(data).plan(4, 3)
    for hyperparameter in ("learning_rate", "weight_decay", "momentum"):
        plan.value(hyperparameter, 1, 1, base=0.5)


def state_of(data: Any) -> None:
    """Read a state."""
    Saved.from_dict(data)


def sealed_state_of(data: Any) -> None:
    """Read a state that has the right digest, and continue with it."""
    inner = {key: value for key, value in data.items() if key != "digest"} if isinstance(data, dict) else data
    try:
        whole = seal(inner)
    except Exception:  # it cannot have been written
        return
    saved = Saved.from_dict(whole)
    for policy in (RECIPE_POLICY, PLATEAU_POLICY):
        for progress in saved.optimizers.values():
            driver = driver_before(policy, progress.drivers)
            for on_change in ("use_saved", "raise") if driver is not None else ():
                check_loaded(policy, driver, saved.position(0), on_change, ("parameters",))
                resumed(policy, driver, CLOCK, Position(2), on_change).policy.load_state(driver.state)


def text_of(data: bytes) -> None:
    """Read a state as text."""
    Saved.from_text(data)


def file_of(folder: Path) -> Callable[[bytes], None]:
    """Read a file of export_state."""
    path = folder / "file"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        exchange.read(path)

    return read


def written(folder: Path, saved: Saved) -> bytes:
    """A file of export_state."""
    generator = np.random.default_rng(0)
    moments = {name: generator.standard_normal((3, 2)).astype("float32") for name in ("momentum", "velocity")}
    found = exchange.Exchange(saved.at_epoch(2), {0: "AdamW"}, {"layer/kernel": exchange.ParameterState(8, moments)})
    exchange.write(folder / "written", found)
    return (folder / "written").read_bytes()


def keras_of(folder: Path) -> tuple[bytes, Callable[[bytes], None]]:
    """A state in the store of a Keras optimizer, and what loads it there."""
    import os

    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    from samestep.keras import HyperparameterScheduler, build_optimizer

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(build_optimizer(RECIPE.optimizer, model), "mse")
    scheduler = HyperparameterScheduler(RECIPE)
    model.fit(np.ones((4, 2)), np.ones((4, 1)), batch_size=1, epochs=1, verbose=0, callbacks=[scheduler])
    store: dict[str, np.ndarray] = {}
    model.optimizer.save_own_variables(store)
    before = [keras.ops.convert_to_numpy(each) for each in model.optimizer.variables]

    def load(data: bytes) -> None:
        try:
            model.optimizer.load_own_variables({**store, "samestep": np.frombuffer(data, "uint8")})
        except ValueError:
            after = [keras.ops.convert_to_numpy(each) for each in model.optimizer.variables]
            assert all(map(np.array_equal, before, after)), "half of it was loaded"
            raise

    return store["samestep"].tobytes(), load


def tried(
    read: Callable[[Any], None],
    make: Callable[[random.Random], Any],
    seed: int,
    count: int,
    slowest: float | None = SLOWEST,
) -> str:
    """Read `count` mutated inputs; says what was wrong with the first that was not right."""
    with _ONE_AT_A_TIME:
        return _tried(read, make, seed, count, slowest)


def _tried(
    read: Callable[[Any], None], make: Callable[[random.Random], Any], seed: int, count: int, slowest: float | None
) -> str:
    generator, seen = random.Random(seed), list[str]()
    listening = [True]

    def listen(event: str, arguments: Any) -> None:
        if listening[0] and event in FORBIDDEN:
            seen.append(f"{event} {str(arguments)[:200]}")

    sys.addaudithook(listen)
    try:
        for number in range(count):
            data = make(generator)
            begun = time.thread_time()  # a loaded machine takes no more of it
            found = wrong(read, data)
            seconds = time.thread_time() - begun
            if seen or found or (slowest is not None and seconds > slowest):
                shown = repr(data)[:2000] if not _is_deep(data) else "something deep"
                return f"seed {seed}, input {number}: {seen} {found} in {seconds:.3f} seconds, of {shown}"
        return ""
    finally:
        listening[0] = False


def _is_deep(data: Any) -> bool:
    try:
        repr(data)
    except (RecursionError, ValueError):
        return True
    return False


def wrong(read: Callable[[Any], None], data: Any) -> str:
    """What is wrong with what comes of reading some data, or nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(data)
    except (TypeError, ValueError) as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        message = str(error)
        if type(error) not in (TypeError, ValueError) or not frame.filename.startswith(OURS):
            return f"{type(error).__name__} from {frame.filename}:{frame.lineno}: {message[:300]}"
        if not message.endswith(".") or "\n" in message or len(message) > 20_000:
            return f"not a sentence: {message[:300]!r}"
    except BaseException as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} from {frame.filename}:{frame.lineno}: {str(error)[:300]}"
    return ""


def cases(folder: Path) -> Iterator[Case]:
    """Each of AT_A_TIME inputs."""
    folder.mkdir(parents=True, exist_ok=True)
    known = main_objects()
    text = json.dumps(known["state"]).encode()
    archive = written(folder, known["saved"])
    kinds: list[tuple[str, Callable[[Any], None], Callable[[random.Random], Any], float]] = [
        ("recipe dictionaries", recipe_of, lambda g: mutated(known["recipe"], g), 0.35),
        ("states", state_of, lambda g: mutated(known["state"], g), 0.15),
        ("states with the right digest", sealed_state_of, lambda g: mutated(known["state"], g), 0.25),
        ("states as text", text_of, lambda g: damaged(text, g), 0.1),
        ("files of export_state", file_of(folder), lambda g: damaged(archive, g), 0.1),
    ]
    stored, load = keras_of(folder)
    kinds.append(("stores of Keras", load, lambda g: damaged(stored, g), 0.05))
    for settings, read, make, share in kinds:
        for seed in range(int(INPUTS * share) // AT_A_TIME):
            yield Case(settings, f"seed {seed}", partial(tried, read, make, seed, AT_A_TIME), AT_A_TIME)


SWEEPS = [Sweep("fuzz", cases)]
