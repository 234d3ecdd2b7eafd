"""What drift looks at does not depend on when rows were made, where a split by time says so."""

import numpy as np
import polars as pl
import pytest
import torch

from tests.small_networks import SMALL
from tests.unit.inference.known_table import known_table
from varjepa.config import parse_config
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.inference.drift_counts import count_columns
from varjepa.inference.model import TrainedModel
from varjepa.inference.row_statistics import principal_directions, row_statistics
from varjepa.models.new_network import new_network

AGE = pl.duration(hours=7 * pl.int_range(pl.len()))


@pytest.mark.parametrize("kind", ["var_t_jepa", "t_jepa"])
def test_rows_of_a_day_look_like_those_of_a_year(kind: str) -> None:
    config = parse_config({
        "data": {"name": "table", "split": {"by": "time", "column": "at"}},
        "model": SMALL.model_dump() | {"kind": kind}, "generator": {"n_layers": 0},
    })  # fmt: skip
    start = pl.lit("2024-01-01").str.to_datetime()
    table = known_table(2000).with_columns(at=start + AGE)
    learned = fit(table.lazy(), config.data, config.preprocess)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = TrainedModel(config, learned, new_network(learned.sizes, config).eval(), None)
    directions = principal_directions(model, model.encode(table[:300]))
    rows = table[:50]
    one_day = rows.with_columns(at=start + pl.duration(days=1000))
    before, after = (row_statistics(model, each, directions) for each in (rows, one_day))
    for name, values in before.items():
        np.testing.assert_array_equal(values.values, after[name].values)
    assert not torch.equal(model.embed(rows).mean, model.embed(one_day).mean)
    assert not [name for name in count_columns(learned, table)[0] if name.startswith("at")]
