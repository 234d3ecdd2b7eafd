"""Events that mean the same to two models, whatever their encodings."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch

from tests.unit.inference.known_table import known_table
from varjepa.config import parse_config
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.encode.tensors import to_tensors
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.inference.cell_events import cell_events, hidden_log_probs, likelihood_log_probs, windows
from varjepa.nn.decoders import Likelihood
from varjepa.nn.gaussian import DiagonalGaussian

CPU = torch.device("cpu")


def fitted(frame: pl.DataFrame, numeric: str = "standard") -> Preprocessor:
    config = parse_config({"data": {"name": "table"}, "preprocess": {"numeric": numeric}})
    return fit(frame.lazy(), config.data, config.preprocess)


def column(values: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame({"x": values})


def log_probs(preprocessor: Preprocessor, frame: pl.DataFrame, others: list[Preprocessor], mean: float, scale: float):
    """Of the first numeric feature under a normal distribution with this raw mean and spread, standard encoding."""
    events = cell_events(frame, others).encoded(preprocessor, CPU)
    table, feature = to_tensors(preprocessor.encode(frame.lazy()).collect(), preprocessor), preprocessor.numeric[0]
    encoded = torch.full((frame.height, 1), (mean - feature.mean) / feature.std)
    normal = DiagonalGaussian(encoded, torch.full_like(encoded, 2 * np.log(scale / feature.std)))
    return likelihood_log_probs(Likelihood(normal, (), ()), table, events)[:, 0]


def test_windows_hold_their_value_and_a_share_of_the_rows() -> None:
    rng = np.random.default_rng(0)
    values = np.r_[np.zeros(300), rng.normal(size=700).round(3), np.full(20, np.nan)]
    low, high = windows(values)
    present = ~np.isnan(values)
    assert ((low < values) & (values < high))[present].all()
    assert np.isnan(low[~present]).all()
    inside = (values[None, :] > low[:, None]) & (values[None, :] < high[:, None]) & (values[None, :] != values[:, None])
    assert inside[present].sum(1).max() <= 20  # 1% of 1,000 rows on either side
    assert inside[present].sum(1).mean() > 10
    assert windows(np.full(5, 7.0)) == (pytest.approx(np.full(5, -np.inf)), pytest.approx(np.full(5, np.inf)))


def test_the_same_prediction_has_the_same_probability_in_every_unit() -> None:
    """A wrong amount of 1e5 makes the unit of one model 2,000 times that of the other."""
    rng = np.random.default_rng(1)
    values, test = rng.normal(3, 2, 3000), column(rng.normal(3, 2, 500))
    models = [fitted(column(values)), fitted(column(np.r_[values, 1e5])), fitted(column(100 * values))]
    found = [log_probs(model, test, models, 2.5, 1.5) for model in models]
    inside = cell_events(test, models).encoded(models[0], CPU).compared[:, 0]
    assert inside.double().mean() > 0.9
    for other in found[1:]:
        assert torch.allclose(found[0][inside], other[inside], atol=2e-3)
    # Windows hold 2% of the rows, and a normal distribution near theirs gives them about as much.
    assert found[0][inside].mean() == pytest.approx(np.log(0.02), abs=0.3)


@pytest.mark.parametrize("numeric", ["standard", "quantile"])
def test_a_window_has_the_share_of_draws_that_decode_into_it(numeric: str) -> None:
    """20,000 draws, seed 2; five standard errors of a share are allowed, which about 300 windows pass by chance in one
    of 6,000 seeds.
    """
    rng = np.random.default_rng(2)
    preprocessor, test = fitted(column(rng.lognormal(0, 1.5, 2000)), numeric), column(rng.lognormal(0, 1.5, 300))
    events, feature = cell_events(test, [preprocessor]), preprocessor.numeric[0]
    table = to_tensors(preprocessor.encode(test.lazy()).collect(), preprocessor)
    mean = torch.full((300, 1), 0.2)
    normal = DiagonalGaussian(mean, torch.zeros_like(mean))
    found = likelihood_log_probs(Likelihood(normal, (), ()), table, events.encoded(preprocessor, CPU))[:, 0].exp()
    draws = feature.decode(rng.normal(0.2, 1, 20_000))
    inner = (events.lower[:, 0] > feature.smallest) & (events.upper[:, 0] < feature.largest)
    shares = ((draws > events.lower) & (draws < events.upper)).mean(1)
    errors = np.sqrt(shares * (1 - shares) / 20_000) + 1e-4
    assert (np.abs(found.numpy() - shares) / errors)[inner].max() < 5


def test_categories_that_one_model_does_not_know_are_one_for_both() -> None:
    words = ["a"] * 50 + ["b"] * 30 + ["c"] * 20
    small, large = (fitted(pl.DataFrame({"k": chosen})) for chosen in (words[:80], words))
    test = pl.DataFrame({"k": ["a", "b", "c", "d"]})
    found = []
    for model, chances in ((small, [0.25, 0.5, 0.25]), (large, [0.05, 0.5, 0.25, 0.2])):
        logits = torch.tensor(chances).log().expand(4, 1, -1)
        none = torch.zeros(4, 0)
        likelihood = Likelihood(DiagonalGaussian(none, none), (logits,), (torch.tensor([0]),))
        table = to_tensors(model.encode(test.lazy()).collect(), model)
        found.append(likelihood_log_probs(likelihood, table, cell_events(test, [small, large]).encoded(model, CPU)))
    assert found[0].exp()[:, 0].tolist() == pytest.approx([0.5, 0.25, 0.25, 0.25])
    assert torch.allclose(*found)


def test_numbers_outside_a_training_range_are_left_out_for_both_and_counted() -> None:
    narrow, wide = fitted(column(np.linspace(0, 1, 200))), fitted(column(np.linspace(0, 4, 200)))
    events = cell_events(column(np.linspace(0, 2, 101)), [narrow, wide])
    assert events.shares_outside() == [pytest.approx(50 / 101), 0.0]
    assert int(events.encoded(wide, CPU).compared.sum()) == 51
    assert cell_events(column(np.zeros(3)), [narrow, fitted(column(np.linspace(0, 1, 200)).rename({"x": "y"}))]) is None


def test_hidden_cells_of_a_generator_have_probabilities_of_windows(world: SimpleNamespace) -> None:
    """`size` is 0 in 30% of the rows, which `price` gives away; `flag` is a coin."""
    frame, model = known_table(400, 5), world.model
    events = cell_events(frame, [model.preprocessor]).encoded(model.preprocessor, CPU)
    found = hidden_log_probs(model.generator, model.encode(frame), events)
    by_name = dict(zip(model.preprocessor.names, found.unbind(1), strict=True))
    assert by_name["flag"].mean() == pytest.approx(np.log(0.5), abs=0.1)
    zero = torch.from_numpy((frame["size"] == 0).to_numpy())
    assert by_name["size"][zero].exp().mean() > 0.5
    everywhere = events._replace(
        lower=torch.full_like(events.lower, -np.inf), upper=torch.full_like(events.upper, np.inf)
    )
    numbers = hidden_log_probs(model.generator, model.encode(frame), everywhere)[:, : model.generator.n_numeric]
    assert torch.allclose(numbers, torch.zeros_like(numbers), atol=1e-5)
