"""Losses of one job on validation or test rows, the same rows for every job of a search."""

from dataclasses import dataclass
from typing import Literal

from varjepa.config import RetrainConfig
from varjepa.data.encode.encoded import Part
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.evaluation.epoch_scores import ProbeEvaluator
from varjepa.evaluation.hidden_cells import HIDDEN_CELLS, ROWS, HiddenCells, HiddenCellsEvaluator
from varjepa.tasks.retrain.encoded_rows import EncodedRows
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.retrain.pretrain import Pretrained
from varjepa.training.device import resolve_device
from varjepa.training.loop import Evaluator
from varjepa.tuning.heads import Heads
from varjepa.tuning.losses import RowLosses, hidden_cell_losses, label_losses

Measured = Literal["validation", "test"]


@dataclass(frozen=True)
class Criterion:
    """By what trials are compared.

    Attributes:
        rows: the encoded rows.
        labelled: by the loss of the label; otherwise by hidden cells, as there is no label to learn or to validate on.
    """

    rows: EncodedRows
    labelled: bool

    @classmethod
    def of(cls, rows: EncodedRows) -> "Criterion":
        """The criterion for these rows: the label, where training and validation rows have one."""
        labelled = rows.preprocessor.label is not None and all(
            len(rows.sample(part, 1, learnable=True).labels) for part in ("train", "validation")
        )
        return cls(rows, labelled)

    @property
    def epoch_metric(self) -> str:
        """Metric of an epoch by which a trial is pruned; lower is better."""
        return "validation/probe_loss" if self.labelled else HIDDEN_CELLS

    def evaluator(self) -> Evaluator:
        """Measures `epoch_metric`, whatever selects the epoch."""
        train, validation = self.part("train"), self.part("validation")
        label = self.rows.preprocessor.label
        if not self.labelled or label is None:
            return HiddenCellsEvaluator(HiddenCells(train.table, self.rows.preprocessor.sizes), validation.table)
        return ProbeEvaluator(
            train.table, train.labels, validation.table, validation.labels, len(label.classes),
            selective=False, aggregate="mean",
        )  # fmt: skip

    def part(self, name: str) -> Part:
        """The rows of a part that are looked at: at most `training.eval_rows`, for hidden cells at most `ROWS`."""
        most = self.rows.training.eval_rows
        return self.rows.sample(name, most if self.labelled else min(most, ROWS), learnable=self.labelled)

    def losses(self, pretrained: Pretrained, config: RetrainConfig, part: Measured) -> RowLosses:
        """Losses of a trained job on the rows of a part; fitted on training rows, penalties from validation rows."""
        preprocessor = self.rows.preprocessor
        network = pretrained.network(preprocessor, config)
        train, rows = self.part("train"), self.part(part)
        if not self.labelled or preprocessor.label is None:
            return hidden_cell_losses(network, preprocessor.sizes, train=train, rows=rows)
        validation = rows if part == "validation" else self.part("validation")
        return label_losses(network, preprocessor.label, config, train=train, validation=validation, rows=rows)

    def heads(self, pretrained: Pretrained, config: RetrainConfig) -> Heads | None:
        """Heads on a trained job; None without a label."""
        preprocessor = self.rows.preprocessor
        if not self.labelled or preprocessor.label is None:
            return None
        network = pretrained.network(preprocessor, config)
        return Heads.of(network, preprocessor, config, self.part("train"), self.part("validation"))


def criterion_of(prepared: Prepared, config: RetrainConfig) -> Criterion:
    """The criterion of a search; the rows that it looks at depend on the job's own seed alone."""
    preprocessor = Preprocessor.read(prepared.preprocessor)
    device = resolve_device(config.training.device)
    return Criterion.of(EncodedRows(prepared.encoded, preprocessor, config.training, device))
