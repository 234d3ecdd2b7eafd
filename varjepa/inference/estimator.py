"""Var-T-JEPA as a scikit-learn transformer: tables in, embeddings out."""

from typing import Self

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from sklearn.base import TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from varjepa.config import RetrainConfig
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.encode.tensors import to_tensors
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.errors import ModelError
from varjepa.inference.fit_progress import epochs_logged, steps_logged
from varjepa.inference.generator.fill import outside_range
from varjepa.inference.generator.fitting import fitted_generator
from varjepa.inference.model import TrainedModel
from varjepa.inference.table_estimator import Table, TableEstimator, as_config
from varjepa.inference.torch_settings import torch_as_usual
from varjepa.inference.vectors.fitting import fit_compact
from varjepa.models.new_network import new_network
from varjepa.training.device import give_back_memory, resolve_device
from varjepa.training.loop import Trainer

VALIDATION_SHARE = 0.1
"""Share of the rows given to `fit` that select the epoch instead of training."""


class VarTJEPA(TransformerMixin, TableEstimator):
    """Learns embeddings of table rows. Labels are neither needed nor used.

    Missing cells are allowed. Text columns are categories, unless their text is numbers, dates or times; where most
    texts differ, such as names, they become embeddings of words and n-grams. Columns that cannot be features (constant,
    empty, identifiers) are left out. All rows given to `fit` set the statistics of the
    preprocessing; a tenth of them selects the epoch by its ELBO instead of training. The same seed (`training.seed`)
    gives the same result on the same machine.

    Args:
        config: a `RetrainConfig`, a mapping or a YAML file with the same keys; None for the defaults. Of `data` only
            `label` (never a feature), `drop` and `kinds` are used.
        device: auto, cpu, or a GPU by name; None means that of `config`.
        batch_size: rows embedded at a time; affects only memory.

    Attributes:
        model_: the trained model.
        history_: metrics per epoch.
        n_features_in_: number of columns given to `fit`, without the label and dropped ones, which new rows may lack.
        feature_names_in_: their names, if they have names.

    Examples:
        >>> table = pl.DataFrame({"size": np.arange(40) % 7, "kind": ["a", "b"] * 20})
        >>> small = {"model": {"d_hidden": 8, "n_layers": 1}, "training": {"max_epochs": 1}}
        >>> VarTJEPA(small).fit_transform(table).shape
        (40, 16)
    """

    def fit(self, X: Table, y: object = None) -> Self:  # noqa: ARG002 (labels are not used)
        """Trains on rows. The logger `varjepa.fit` tells epochs and the time left at level INFO.

        Args:
            X: table [N, D].
            y: ignored.

        Raises:
            ConfigError: the configuration is invalid.
            DataError: too few rows, no column can be a feature, or the configuration names a column that is not there.
        """
        config = as_config(self.config, self.device)
        frame, config = self._read(self._frame(X, reset=True, data=config.data), config)
        label = () if config.data.label is None else (config.data.label,)
        features = config.data.model_copy(update={"label": None, "drop": (*config.data.drop, *label)})
        preprocessor = fit(frame.lazy(), features, config.preprocess)
        config = config.sized(frame.height, preprocessor.sizes.n_features)
        try:
            self.model_, self.history_ = _trained(frame, preprocessor, config)
        finally:
            give_back_memory()
        return self

    def transform(self, X: Table) -> NDArray[np.float32]:
        """Embeddings of rows, in the order of the rows.

        Returns:
            float32 [N, D d], feature by feature.
        """
        return self.embed(X).mean.flatten(1).cpu().numpy()

    @torch_as_usual()
    def uncertainty(self, X: Table) -> NDArray[np.float32]:
        """One number per row [N] from the scales of its latents; larger = less sure.

        Raises:
            ModelError: the loaded model is of a kind without latent scales.
        """
        check_is_fitted(self)
        uncertainty = self.model_.latent_uncertainty(self.embed(X))
        if uncertainty is None:
            raise ModelError(
                f"A model of kind {self.model_.config.model.kind} has no latent uncertainty.",
                expected="Expected a model of kind var_t_jepa.",
            )
        return uncertainty.cpu().numpy()

    @torch_as_usual()
    def score(self, X: Table, y: object = None) -> pl.DataFrame:  # noqa: ARG002 (labels are not used)
        """Anomaly scores in nats: `anomaly` per row and `oddity.FEATURE` per cell, minus the log of a p-value each.

        Not a score in the sense of scikit-learn: one line per row, larger means more unusual (see
        `TrainedModel.anomalies`).

        Raises:
            ModelError: the model has no generator.
        """
        check_is_fitted(self)
        return self.model_.anomalies(self._frame(X, reset=False), self.batch_size).drop("odd_columns")

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:  # noqa: ARG002 (names are known)
        """Names of the columns that `transform` returns: FEATURE_DIMENSION."""
        check_is_fitted(self)
        names, width = self.model_.preprocessor.names, self.model_.network.d_hidden
        return np.array([f"{name}_{k}" for name in names for k in range(width)], dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # networks return 32-bit floats for every input type
        return tags


@torch_as_usual(gradients=True)
def _trained(
    frame: pl.DataFrame, preprocessor: Preprocessor, config: RetrainConfig
) -> tuple[TrainedModel, list[dict[str, float]]]:
    device = resolve_device(config.training.device)
    table = to_tensors(preprocessor.encode(frame.lazy()).collect(), preprocessor).to(device)
    # The first `held` rows of a random order validate, the others train.
    order = torch.from_numpy(np.random.default_rng(config.training.seed).permutation(frame.height)).to(device)
    held = max(1, round(VALIDATION_SHARE * frame.height))
    trainer = Trainer(
        network=new_network(preprocessor.sizes, config).to(device),
        tables=(table.rows(order[held:]), table.rows(order[:held])),
        objective=config.objective, masking=config.masking, training=config.training,
    )  # fmt: skip
    trained = trainer.fit(epochs_logged(config.training.max_epochs), lambda *_: None)
    generator = None
    if config.generator.n_layers:
        tables, outside = (table.rows(order[held:]), table.rows(order[:held])), outside_range(frame, preprocessor)
        # No further rows are left for the intervals, so validation rows serve twice.
        other = (tables[1], outside.to(device)[order[:held]])
        told = steps_logged(config.generator, tables[0].n_rows)
        generator = fitted_generator(
            trainer.network, preprocessor, config, tables=tables, held=(other, other), on_progress=told
        )
    compact = fit_compact(trainer.network, table.rows(order[held:]), table.rows(order[:held]))
    model = TrainedModel(config, preprocessor, trainer.network, None, None, generator, compact=compact)
    return model, trained.history
