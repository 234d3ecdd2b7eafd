"""A table whose conditionals are known, and a small generator trained on it."""

from types import SimpleNamespace

import numpy as np
import polars as pl

from tests.small_networks import SMALL
from varjepa.config import parse_config
from varjepa.data.encode.tensors import to_tensors
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.inference.generator.fill import outside_range
from varjepa.inference.generator.fitting import fitted_generator
from varjepa.inference.model import TrainedModel
from varjepa.models.new_network import new_network

ROWS = 4000


def known_table(rows: int = ROWS, seed: int = 0) -> pl.DataFrame:
    """size ~ mixture with a pile at 0; price = 3 size + noise; kind says whether size is above 1; flag is a coin."""
    rng = np.random.default_rng(seed)
    size = np.where(rng.random(rows) < 0.3, 0.0, rng.normal(1, 1, rows)).round(3)
    kind = np.where(rng.random(rows) < 0.05, rng.choice(["small", "large"], rows), np.where(size > 1, "large", "small"))
    count = np.floor(np.abs(size) * 4 + rng.random(rows)).astype(int)
    return pl.DataFrame({
        "flag": rng.random(rows) < 0.5, "price": 3 * size + rng.normal(0, 0.5, rows), "size": size, "kind": kind,
        "count": count, "day": pl.Series(18_000 + count * 7).cast(pl.Date),
    })  # fmt: skip


def with_gaps(frame: pl.DataFrame, share: float, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    gaps = {name: pl.Series(rng.random(frame.height) < share) for name in frame.columns}
    return frame.with_columns(pl.when(~gap).then(name).alias(name) for name, gap in gaps.items())


def trained_generator() -> SimpleNamespace:
    """The `model`, and the rows it was trained on as `train`."""
    train = known_table()
    return SimpleNamespace(model=trained_model(train, max_steps=600), train=train)


def trained_model(train: pl.DataFrame, *, numeric: str = "auto", max_steps: int = 300) -> TrainedModel:
    """A model whose generator was trained on these rows, on top of a network that was not."""
    config = parse_config({
        "data": {"name": "table"}, "model": SMALL.model_dump(), "preprocess": {"numeric": numeric},
        "generator": {"n_layers": 2, "max_steps": max_steps, "n_bars": 24},
    })  # fmt: skip
    validation, held = known_table(1500, 1), known_table(1500, 2)
    preprocessor = fit(train.lazy(), config.data, config.preprocess)
    network = new_network(preprocessor.sizes, config).eval()

    def encoded(frame: pl.DataFrame):
        return to_tensors(preprocessor.encode(frame.lazy()).collect(), preprocessor)

    generator = fitted_generator(
        network, preprocessor, config, tables=(encoded(train), encoded(validation)),
        held=tuple((encoded(frame), outside_range(frame, preprocessor)) for frame in (held, validation)),
    )  # fmt: skip
    return TrainedModel(config, preprocessor, network, None, None, generator)
