"""Progress of long work: a bar on a terminal, plain lines elsewhere; always on stderr, always with the time left."""

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.time_left import time_left


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
    """Shows epochs, ELBO or squared error, rows per second and the time left while the block runs.

    Args:
        max_epochs: of the training, which may stop earlier.
        rows: of an epoch.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"))
    epoch_seconds = list[float]()  # with the evaluation on validation rows, which rows per second leave out
    with Progress(*columns, console=Console(file=sys.stderr), transient=True, disable=not sys.stderr.isatty()) as bar:
        shown = bar.add_task("training", total=max_epochs * rows, note=time_left(None))

        def on_progress(epoch: int, done: int, named: dict[str, float], rows_per_second: float) -> None:
            seconds = epoch_seconds[-1] if epoch_seconds else rows / max(rows_per_second, 1e-9)
            left = time_left(seconds * (max_epochs - epoch - done / rows))
            note = f"{headline(named)}  {rows_per_second:,.0f} rows/s  {left}"
            bar.update(shown, completed=epoch * rows + done, description=f"epoch {epoch + 1}/{max_epochs}", note=note)

        def on_epoch(metrics: dict[str, float]) -> None:
            # Validation terms come last and replace those of training; an epoch without validation shows the latter.
            named = {name.partition("/")[2]: value for name, value in metrics.items() if "/" in name}
            part = "validation" if "selection/score" in metrics else "training"
            speed, number = metrics["training/rows_per_second"], int(metrics["epoch"]) + 1
            epoch_seconds.append(metrics["training/seconds"])
            log.info(
                "epoch %d/%d: %s on %s rows, %s rows/s, %s", number, max_epochs, headline(named), part, f"{speed:,.0f}",
                time_left(epoch_seconds[-1] * (max_epochs - number)),
            )  # fmt: skip

        yield TrainingProgress(on_epoch, on_progress)


def why_selected(history: Sequence[Mapping[str, float]], selected: int, tie_share: float) -> str:
    """Why the weights of an epoch are kept, in a sentence.

    Args:
        history: metrics per epoch.
        selected: its number, from 0.
        tie_share: see `training.tie_share`.

    Examples:
        >>> scores = [{"selection/score": score} for score in (-0.50, -0.51, -0.60)]
        >>> why_selected(scores, 0, 0.005)
        'selected epoch 1 of 3: its score (training.selection) is the best (-0.5000, last epoch -0.6000)'
        >>> why_selected(scores[:1], 0, 0.005)
        'selected epoch 1 of 1: its score (training.selection) is the best (-0.5000)'
        >>> why_selected(scores, 1, 0.05)  # doctest: +ELLIPSIS
        'selected epoch 2 of 3: its score on validation rows (-0.5100) is within 5% of the best (-0.5000, epoch 1), ...'
    """
    scores = {epoch: row["selection/score"] for epoch, row in enumerate(history) if "selection/score" in row}
    words = f"selected epoch {selected + 1} of {len(history)}"
    finite = {epoch: score for epoch, score in scores.items() if math.isfinite(score)}
    if selected not in finite:
        return words
    best = max(finite, key=lambda epoch: finite[epoch])
    own, top = finite[selected], finite[best]
    if own >= top:
        last = "" if selected == max(scores) else f", last epoch {scores[max(scores)]:.4f}"
        return f"{words}: its score (training.selection) is the best ({own:.4f}{last})"
    near = f"within {100 * tie_share:g}% of the best ({top:.4f}, epoch {best + 1})"
    return (
        f"{words}: its score on validation rows ({own:.4f}) is {near}, and among such epochs its objective is the best"
    )
