"""Figures show every row and every name, whatever names are and however many there are."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from varjepa import plots
from varjepa.evaluation.drift.samples import Categories

POINTS = np.random.default_rng(0).normal(size=(600, 2))
WORDS = Categories(names=("a",), counts=(3,))


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_a_class_whose_name_begins_with_a_line_is_in_the_legend() -> None:
    figure = plots.embedding_map(POINTS, None, np.arange(600.0) % 2, ["_none", "some"])
    assert [text.strip() for text in legend(figure)] == ["_none", "some"]


def test_of_many_classes_the_largest_have_a_colour_and_all_rows_are_shown() -> None:
    labels = np.where(np.arange(600) < 300, 299.0, np.arange(600.0) - 300)  # half of the rows are of the last class
    figure = plots.embedding_map(POINTS, None, labels, [f"c{number}" for number in range(300)])
    (axis,) = figure.axes
    assert sum(len(dots.get_offsets()) for dots in axis.collections) == 600
    assert "c299" in legend(figure)
    assert axis.get_title(loc="left") == "Label: the largest 7 of 300 classes"


@pytest.mark.parametrize(
    "drawn",
    [
        lambda name: plots.drift_effects({name: (0.3, "drift"), "b": (0.1, "none")}),
        lambda name: plots.embedding_map(POINTS, None, np.arange(600.0) % 2, [name, "b"]),
        lambda name: plots.reference_and_new({name: (WORDS, WORDS)}),
    ],
    ids=["effects", "map", "panels"],
)
def test_a_long_name_leaves_room_for_what_it_names(drawn: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # "axes sizes collapsed to zero"
        figure = drawn("x" * 10_000)  # type: ignore[operator]
    assert figure.axes[0].get_position().width > 0.2


def test_no_test_makes_an_empty_figure() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.drift_effects({})


@pytest.mark.parametrize("contributions", [[0.2, -0.05, 0.1, 0.0], [-0.1, -0.2, -0.05, 0.0], [0.0] * 4])
def test_both_lines_of_an_explained_row_lie_within_its_panel(contributions: list[float]) -> None:
    """They were drawn on the frame, and the bars of what had been left over were cut by it."""
    figure = plots.row_reasons(list("abcd"), {"prediction": (0.3, np.array(contributions))}, "a row")
    left, right = figure.axes[0].get_xlim()
    reached = [0.3, *(0.3 + np.cumsum(contributions))]
    assert left < min(reached) <= max(reached) < right


def test_titles_of_the_curves_say_what_they_are_of_and_fit() -> None:
    terms = ("elbo", "rec", "gen", "kl_sx", "kl_z", "kl_sy")
    figure = plots.training_curves([{"epoch": 0.0, **{f"train/{term}": 1.0 for term in terms}}], 0)
    for axis in figure.axes:
        assert " " in axis.get_title(loc="left")
        title = next(text for text in axis.get_children() if getattr(text, "get_text", str)() == axis.get_title("left"))
        assert title.get_window_extent().width < axis.get_window_extent().width


@pytest.mark.parametrize(("spread", "groups"), [(0.0, 1), (1e-9, 1), (0.5, 10)])
def test_intervals_of_one_width_are_one_group(spread: float, groups: int) -> None:
    """Rounding made ten, one above the other, on an axis of 1e-7+6.13193125e4."""
    rng = np.random.default_rng(0)
    width = 60_000 * (1 + spread * rng.random(200))
    figure = plots.interval_plot(rng.random(200), width, rng.random(200) < 0.9, 0.9)
    assert len(figure.axes[1].lines[0].get_xdata()) == groups


def test_numbers_of_an_explained_row_do_not_run_into_each_other() -> None:
    parts = {
        "prediction": (300_000.0, np.array([46_000.0, 32_000.0, -19_000.0, 13_000.0])),
        "uncertainty": (0.1, np.ones(4)),
    }
    figure = plots.row_reasons(list("abcd"), parts, "a row")
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels() if label.get_text()]
    width = boxes[0].width / len("300000")
    assert all(right.x0 - left.x1 > 2 * width for left, right in pairwise(boxes))


def test_hundreds_of_small_reasons_are_a_number_and_leave_the_largest_visible() -> None:
    """Their bar was a hundred times as long as that of the most important pixel, which nobody could see."""
    columns, values = [f"pixel_{number}" for number in range(611)], np.full(611, 1e-3)
    values[:12] = np.linspace(6e-3, 3e-3, 12)
    row = plots.row_reasons(columns, {"prediction": (0.1, values)}, "a row")
    table = plots.table_reasons(columns, {"prediction": values}, 28)
    for figure, words in ((row, "599 other columns before these: 0.6"), (table, "599 other columns together: 0.6")):
        (axis,) = figure.axes
        assert [label.get_text() for label in axis.get_yticklabels()] == columns[:12]
        assert axis.get_xlabel() == words
        low, high = axis.get_xlim()
        assert max(bar.get_width() for bar in axis.patches) > 0.05 * (high - low)
    assert axis.patches[0].get_width() == pytest.approx(6e-3)
    ends = row.axes[0].patches[-1]
    assert ends.get_x() + ends.get_width() == pytest.approx(0.1 + values.sum())
    few = plots.table_reasons(columns[:20], {"prediction": values[:20]}, 28)
    assert "8 others" in [label.get_text() for label in few.axes[0].get_yticklabels()]
