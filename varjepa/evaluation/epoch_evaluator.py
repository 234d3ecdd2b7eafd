"""What selects the epoch of a training: the linear probe where there are labels, RankMe or the ELBO where not."""

import logging
from typing import Protocol

from varjepa.config import RetrainConfig, TrainingSection
from varjepa.data.encode.encoded import Part
from varjepa.data.encode.features import Label
from varjepa.data.tensors.sizes import rows_within
from varjepa.evaluation.epoch_scores import ProbeEvaluator, RankMeEvaluator
from varjepa.models.network import TableNetwork

log = logging.getLogger("varjepa")

MOST_CELLS, FEWEST_ROWS = 2**22, 1000
"""Cells of the rows of a part that select an epoch: of wide tables there are fewer rows, but at least so many."""


class Sample(Protocol):
    """Reads some rows of a part, on the device of the network."""

    def __call__(self, part: str, *, learnable: bool) -> Part:
        """`learnable`: only rows whose label can be learned, see `read_sample`."""


def evaluation_rows(training: TrainingSection, features: int) -> int:
    """Largest number of rows of each part that select an epoch: of wide tables fewer than `training.eval_rows`.

    Examples:
        >>> evaluation_rows(TrainingSection(), 14), evaluation_rows(TrainingSection(), 1500)
        (10000, 2796)
    """
    return rows_within(MOST_CELLS, features, fewest=FEWEST_ROWS, most=training.eval_rows)


def evaluator_for(
    sample: Sample, label: Label | None, network: TableNetwork, config: RetrainConfig
) -> ProbeEvaluator | RankMeEvaluator | None:
    """The evaluator for `training.selection`; None selects by the ELBO of the validation rows.

    Args:
        sample: reads at most as many rows of training and validation as select an epoch.
        label: of the table, where it has one.
        network: that is trained.
        config: of the job.
    """
    training = config.training
    unlabelled = training.selection in ("elbo", "rankme") or label is None
    validation = sample("validation", learnable=not unlabelled)
    if not unlabelled and not len(validation.labels):
        log.warning(
            "No validation row has a label of a class that training has seen: the epoch is selected without labels."
        )
        unlabelled, validation = True, sample("validation", learnable=False)
    if unlabelled or label is None:
        # An objective that collapsed latents minimise cannot select an epoch, so RankMe does.
        by_rank = training.selection == "rankme" or network.can_collapse
        return RankMeEvaluator(validation.table) if by_rank else None
    train = sample("train", learnable=True)
    return ProbeEvaluator(
        train.table, train.labels, validation.table, validation.labels, len(label.classes),
        training.selection == "selective_probe", config.uncertainty.aggregate, rank=network.can_collapse,
    )  # fmt: skip
