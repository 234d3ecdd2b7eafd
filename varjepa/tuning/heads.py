"""Heads in a search: which one the best encoder should ship, and what heads are worth on other rows."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from varjepa.config import RetrainConfig
from varjepa.config.heads import FEATURES, HEAD
from varjepa.data.encode.encoded import Part
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.evaluation.arrays import Floats
from varjepa.evaluation.bootstrap import cluster_numbers
from varjepa.evaluation.gate.paired_tests import Pairs, p_worse
from varjepa.evaluation.uncertainty.calibration import fit_temperature
from varjepa.inference.heads.candidates import Fitting
from varjepa.inference.heads.choice import choose_head
from varjepa.inference.heads.head import Head
from varjepa.inference.heads.inputs import HeadRows
from varjepa.inference.heads.labelled import HeadData, all_outputs
from varjepa.models.embedding import embed
from varjepa.models.network import TableNetwork
from varjepa.tuning.losses import RowLosses, losses_of
from varjepa.tuning.space import Settings

NAMED: tuple[tuple[HEAD, FEATURES], ...] = (
    ("linear", "embedding"), ("linear", "both"), ("boosted", "embedding"), ("boosted", "raw"), ("boosted", "both"),
    ("mlp", "both"),
)  # fmt: skip
"""Heads that a tuned config may name. `probe.head: auto` tries some of them itself."""

DOUBT = 0.05
"""Chance at most that a head is named that is no better than the job's own, all tests together."""


@dataclass(frozen=True)
class Heads:
    """Heads on one trained encoder.

    Attributes:
        network: the encoder.
        fitting: fits heads on training rows.
    """

    network: TableNetwork
    fitting: Fitting

    @classmethod
    def of(
        cls, network: TableNetwork, preprocessor: Preprocessor, config: RetrainConfig, train: Part, validation: Part
    ) -> Self:
        """Heads as a job would fit them.

        Args:
            network: trained, on the device of the rows.
            preprocessor: of the table, with a label.
            config: of the job: `probe` and `training.seed`.
            train: labelled training rows.
            validation: labelled validation rows.
        """
        n_classes = len(preprocessor.label.classes) if preprocessor.label is not None else 0
        fitting = Fitting(
            _data(network, train), _data(network, validation), preprocessor, n_classes, config.probe,
            config.training.seed,
        )  # fmt: skip
        return cls(network, fitting)

    def own(self) -> Head:
        """The head that the job's configuration gives."""
        return choose_head(self.fitting).head

    def losses(self, head: Head, rows: Part) -> RowLosses:
        """Losses of labelled rows, probabilities after the temperature of the validation rows."""
        truth = self.fitting.validation.labels
        outputs = all_outputs(head, self.fitting.validation.rows)
        temperature = fit_temperature(outputs, truth.long().cpu().numpy()) if self.fitting.n_classes else 1.0
        found = torch.from_numpy(all_outputs(head, _data(self.network, rows).rows)) / temperature
        return losses_of(found, rows, n_classes=self.fitting.n_classes)

    def chosen(self, validation: Part) -> tuple[Head, Settings]:
        """The head that should ship, and what names it in a config: nothing where it is the job's own.

        The job's own head stays unless one of `NAMED` is better on the validation rows beyond doubt.
        """
        own = self.own()
        before = self.losses(own, validation).values
        others = [(kind, features) for kind, features in NAMED if (kind, features) != (own.kind, own.features)]
        found = {key: self.losses(self.fitting.head(*key), validation).values for key in others}
        better = [key for key, values in found.items() if self._better(values - before, len(found))]
        if not better:
            return own, {}
        kind, features = min(better, key=lambda key: float(found[key].mean()))
        return self.fitting.head(kind, features), {"probe.head": kind, "probe.features": features}

    def _better(self, gains: Floats, tests: int) -> bool:
        """Whether losses fell, beyond the doubt of so many tests."""
        pairs = Pairs(gains, cluster_numbers(self.fitting.validation.clusters))
        return bool(gains.mean() < 0) and p_worse(pairs) <= DOUBT / tests


def _data(network: TableNetwork, part: Part) -> HeadData:
    flat: Tensor = embed(network, part.table).mean.flatten(1)
    return HeadData(HeadRows(flat, part.table), part.labels, part.clusters)
