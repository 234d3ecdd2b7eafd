"""Losses of rows under two jobs, and whether the difference may be chance."""

import numpy as np
import pytest
import torch

from tests.small_networks import SIZES, random_table, small_network
from varjepa.config import parse_config
from varjepa.data.encode.encoded import Part
from varjepa.data.encode.features import Label
from varjepa.tuning.losses import RowLosses, hidden_cell_losses, label_losses, losses_of, paired_gain

JOB = parse_config({"data": {"name": "sim", "label": "label"}})


def part(rows: int, seed: int, classes: int) -> Part:
    table = random_table(rows, missing=0.0, seed=seed)
    number = table.numeric[:, 0].double()
    return Part(table, (number > 0).double() if classes else number, np.arange(rows))


def losses(values: np.ndarray, clusters: np.ndarray | None = None) -> RowLosses:
    return RowLosses("log_loss", values, {}, clusters)


@pytest.mark.parametrize(("classes", "criterion", "figure"), [(("no", "yes"), "log_loss", "accuracy"),
                                                              ((), "squared_error", "r2")])  # fmt: skip
def test_the_label_is_measured_row_by_row(classes: tuple, criterion: str, figure: str) -> None:
    train, validation, rows = (part(150, seed, len(classes)) for seed in range(3))
    label = Label.model_construct(name="label", classes=classes)
    measured = label_losses(small_network(), label, JOB, train=train, validation=validation, rows=rows)
    assert (measured.criterion, measured.values.shape, list(measured.figures)) == (criterion, (150,), [figure])
    if not classes:
        spread = float((rows.labels - rows.labels.mean()).square().mean())
        assert measured.figures["r2"] == pytest.approx(1 - measured.mean / spread)


def test_rows_without_a_cell_count_as_predicted_by_the_mean() -> None:
    train, rows = part(100, 0, 2), part(20, 1, 2)
    rows.table.observed[3] = False
    assert hidden_cell_losses(small_network(), SIZES, train=train, rows=rows).values[3] == 1.0


@pytest.mark.parametrize(("shift", "side"), [(0.5, 1), (-0.5, -1), (0.0, 0)])
def test_a_gain_is_shown_where_there_is_one(shift: float, side: int) -> None:
    rng = np.random.default_rng(0)
    default = rng.gamma(1.0, 1.0, 500)
    gain = paired_gain(losses(default - shift + rng.normal(0, 0.1, 500)), losses(default))
    assert gain.low < gain.gain < gain.high
    assert (gain.low > 0) - (gain.high < 0) == side


def test_rows_of_a_cluster_are_drawn_together() -> None:
    rng = np.random.default_rng(0)
    gains, clusters = np.repeat(rng.normal(0.2, 1, 30), 20), np.repeat(np.arange(30, dtype=np.uint64), 20)
    together = paired_gain(losses(-gains, clusters), losses(np.zeros(600), clusters))
    alone = paired_gain(losses(-gains), losses(np.zeros(600)))
    assert together.gain == pytest.approx(alone.gain)
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_a_job_gains_nothing_over_itself() -> None:
    values = torch.rand(50, dtype=torch.float64).numpy()
    gain = paired_gain(losses(values), losses(values))
    assert (gain.gain, gain.low, gain.high) == (0.0, 0.0, 0.0)


def test_rows_of_one_cluster_show_no_gain() -> None:
    gains, clusters = np.random.default_rng(0).normal(1, 0.1, 100), np.zeros(100, dtype=np.uint64)
    gain = paired_gain(losses(-gains, clusters), losses(np.zeros(100), clusters))
    assert gain.low == 0 < gain.gain <= gain.high


@pytest.mark.parametrize("classes", [3, 0])
def test_predictions_that_are_no_numbers_have_no_loss_to_compare(classes: int) -> None:
    """A loss of 1 would be the best of all for a label in thousands: a trial without a finite loss has failed."""
    output = torch.full((20, classes or 1), torch.nan, dtype=torch.float64)
    assert np.isnan(losses_of(output, part(20, 0, classes), n_classes=classes).mean)
