"""Rows that show how good fitted heads are, because they were not fitted on them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from varjepa.evaluation.arrays import Floats
from varjepa.inference.heads.candidates import Fitting
from varjepa.inference.heads.head import Head
from varjepa.inference.heads.labelled import HeadData, all_outputs

VALIDATION, UNSEEN = "the validation rows", "rows that it was not fitted on"
"""What they are called in the reason of a choice: validation rows alone, or training rows as well."""


@dataclass(frozen=True)
class Unseen:
    """Rows that show how good heads are: training rows, left out in turn unless they are many, and validation rows.

    Attributes:
        fitting: of the heads; says whether training rows are among them, before the validation rows.
    """

    fitting: Fitting

    @property
    def words(self) -> str:
        """What they are called."""
        return UNSEEN if self.fitting.by_training_rows else VALIDATION

    @property
    def labels(self) -> Floats:
        """Class numbers or values [N]."""
        return np.concatenate([part.labels.double().cpu().numpy() for part in self._parts])

    @property
    def clusters(self) -> NDArray[np.uint64] | None:
        """Rows with the same number belong together [N]; None for independent rows."""
        known = [part.clusters for part in self._parts if part.clusters is not None]
        return np.concatenate(known) if known else None

    @property
    def _parts(self) -> list[HeadData]:
        return [*([self.fitting.train] if self.fitting.by_training_rows else []), self.fitting.validation]

    def outputs(self, head: Head) -> Floats:
        """Outputs of a head [N, C] or [N, 1], of each training row by one that was not fitted on it."""
        training = [self.fitting.held_out(head)] if self.fitting.by_training_rows else []
        return np.concatenate([*training, all_outputs(head, self.fitting.validation.rows)])
