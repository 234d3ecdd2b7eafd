"""Whether a label is predicted as a number or as a class."""

from typing import Literal

from varjepa.data.fit.rows_protocol import CLASSES_OF_NUMBERS
from varjepa.data.read.column_profile import ColumnProfile


def task_of(label: ColumnProfile, task: str) -> Literal["classification", "regression"]:
    """What a label is predicted as.

    Args:
        label: its profile.
        task: `data.task`; auto: a class where the label is no number, or a whole one of few different ones.
    """
    few = label.whole and label.distinct <= CLASSES_OF_NUMBERS
    numbers = task == "regression" or (task == "auto" and label.dtype.is_numeric() and not few)
    return "regression" if numbers else "classification"
