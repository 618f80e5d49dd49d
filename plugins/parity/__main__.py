"""The demonstration: one recipe in Lightning and in Keras, compared with the stock optimizers."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ..core.recipes.recipe import Recipe
from ..core.schedules.durations import epochs, percent
from ..core.schedules.ramps import CosineDecay
from ..core.schedules.staircases import StepDecay
from ..core.specs.adamw import AdamW
from . import check, draw, installed_frameworks

RECIPE = Recipe(
    optimizer=AdamW(learning_rate=2e-3, weight_decay=0.1),
    learning_rate=StepDecay(0.3, every=epochs(2), first=epochs(4)),
    weight_decay=CosineDecay(over=percent(100), end=0.1),
)


def main() -> None:
    """Train, print the table, write the picture and the figures."""
    parser = argparse.ArgumentParser(prog="python -m samestep.parity", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/demo"), help="folder for the picture and the figures")
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()
    console = Console()
    total = arguments.epochs
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[what]}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        tasks = {name: bars.add_task(name, total=2 * total, what="starting") for name in installed_frameworks()}

        def progress(framework: str, epoch: int) -> None:
            stock = epoch > total
            what = f"{'stock' if stock else 'samestep'}, epoch {epoch - total * stock} of {total}"
            bars.update(tasks[framework], completed=epoch, what=what)

        result = check(RECIPE, epochs=total, stock=True, progress=progress)
    console.print(result.plan.explain(), highlight=False, soft_wrap=True)
    console.print(result.table())
    arguments.out.mkdir(parents=True, exist_ok=True)
    result.save(arguments.out / "parity.json")
    draw(result, arguments.out / "parity.png")
    console.print(f"wrote {arguments.out / 'parity.png'} and {arguments.out / 'parity.json'}")
    result.assert_same()
    console.print("the same step in every framework: [bold green]yes[/]")


if __name__ == "__main__":
    main()
