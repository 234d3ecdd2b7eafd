"""Progress of long work: a bar on a terminal, a line per epoch elsewhere; always on stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tasks.steps.log import log


@dataclass(frozen=True)
class TrainingProgress:
    """Callbacks for the training loop."""

    on_epoch: Callable[[dict[str, float]], None]
    on_progress: Callable[[int, int, dict[str, float], float], None]


def headline(metrics: dict[str, float]) -> str:
    """The main number of an epoch or a step, with its name.

    Examples:
        >>> headline({"prediction": 0.25})
        'squared error 0.2500'
    """
    return f"ELBO {metrics['elbo']:.4f}" if "elbo" in metrics else f"squared error {metrics['prediction']:.4f}"


@contextmanager
def training_progress(max_epochs: int, rows: int) -> Iterator[TrainingProgress]:
    """Shows epochs, ELBO or squared error, and rows per second while the block runs."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True, disable=not sys.stderr.isatty()) as bar:
        shown = bar.add_task("pretraining", total=max_epochs * rows, note="")

        def on_progress(epoch: int, done: int, named: dict[str, float], rows_per_second: float) -> None:
            note = f"{headline(named)}  {rows_per_second:,.0f} rows/s"
            bar.update(shown, completed=epoch * rows + done, description=f"epoch {epoch + 1}/{max_epochs}", note=note)

        def on_epoch(metrics: dict[str, float]) -> None:
            # Validation terms come last and replace those of training; an epoch without validation shows the latter.
            named = {name.partition("/")[2]: value for name, value in metrics.items() if "/" in name}
            part = "validation" if "selection/score" in metrics else "training"
            speed, number = metrics["training/rows_per_second"], int(metrics["epoch"]) + 1
            log.info(
                "epoch %d/%d: %s on %s rows, %s rows/s", number, max_epochs, headline(named), part, f"{speed:,.0f}"
            )

        yield TrainingProgress(on_epoch, on_progress)
