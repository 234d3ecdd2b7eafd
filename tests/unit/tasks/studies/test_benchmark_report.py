"""What duels of a benchmark are computed from."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import r2_score

from varjepa.tasks.studies.benchmark_cell import Cell
from varjepa.tasks.studies.benchmark_report import goodness, held_ratios


def cell(folder: Path, outputs: np.ndarray, labels: np.ndarray, *, dataset: str = "t", trained_on: int = 10) -> Cell:
    file = folder / f"{dataset}.npz"
    np.savez(file, test=outputs, label=labels)
    return Cell(dataset, "raw", "mlp", 0, 0, folder / "metrics.json", file, [1], {}, trained_on, 0.0)


@pytest.mark.parametrize("unit", [1.0, 1e7])
def test_goodness_of_values_is_their_r2_whatever_their_unit(tmp_path: Path, unit: float) -> None:
    rng = np.random.default_rng(0)
    labels = unit * rng.normal(5, 2, 40)
    outputs = labels + unit * rng.normal(size=(3, 40))
    found = goodness(cell(tmp_path, outputs[..., None], labels))
    assert found.mean(1) == pytest.approx([r2_score(labels, output) for output in outputs])
    equal = goodness(cell(tmp_path, np.zeros((1, 4, 1)), np.ones(4), dataset="equal"))
    assert np.array_equal(equal, np.zeros((1, 4)))


def test_goodness_of_classes_says_which_rows_are_right(tmp_path: Path) -> None:
    outputs = np.array([[[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]])
    assert goodness(cell(tmp_path, outputs, np.array([0, 1, 1]))).tolist() == [[1.0, 1.0, 0.0]]


def test_every_data_set_has_its_own_ratio(tmp_path: Path) -> None:
    """Of test rows to training rows: means over all data sets would make intervals of one by the rows of another."""
    labels, outputs = np.zeros(4), np.zeros((1, 4, 2))
    cells = [cell(tmp_path, outputs, labels, dataset=name, trained_on=n) for name, n in (("few", 4), ("many", 40))]
    assert held_ratios(cells) == {"few": 1.0, "many": 0.1}
