"""What `VarTJEPA.fit` says of its progress: lines of the logger `varjepa.fit`, which is silent unless a program asks.

`logging.basicConfig(level=logging.INFO)` shows them.
"""

import logging
from collections.abc import Callable, Mapping

from varjepa.config.durations import in_words
from varjepa.config.heads import GeneratorSection
from varjepa.training.generator import GeneratorProgress

log = logging.getLogger("varjepa.fit")


def epochs_logged(most: int) -> Callable[[Mapping[str, float]], None]:
    """A callback of the training loop that logs every epoch.

    Args:
        most: epochs, if the training does not stop earlier.
    """

    def on_epoch(metrics: Mapping[str, float]) -> None:
        number, elbo = int(metrics["epoch"]) + 1, metrics.get("validation/elbo")  # not of every epoch (eval_every)
        held = "" if elbo is None else f" ELBO {elbo:.4f} on held rows,"
        left = in_words(metrics["training/seconds"] * (most - number))
        log.info("epoch %d of %d:%s time left: %s", number, most, held, left)

    return on_epoch


def steps_logged(section: GeneratorSection, rows: int) -> GeneratorProgress:
    """A callback of the generator's training that logs its evaluations.

    Args:
        section: of the generator.
        rows: that it is trained on.
    """
    most, batch = section.steps(rows), section.batch(rows)

    def on_progress(steps: int, loss: float, speed: float) -> None:
        left = in_words((most - steps) * batch / max(speed, 1e-9))
        log.info("generator, step %d of %d: %.4f nats per hidden cell, time left: %s", steps, most, loss, left)

    return on_progress
