"""One wrong amount in the champion's training rows changes its units, and must not change what the gate finds."""

import polars as pl
import pytest

from tests.unit.inference.known_table import known_table, trained_model
from varjepa.config.operations import GateSection
from varjepa.evaluation.gate.verdict import judge
from varjepa.inference.gate_evidence import gather
from varjepa.inference.model import TrainedModel

SECTION = GateSection(margin=0.05, min_active=None, min_rank=None, collapse_share=None)
"""Networks are not trained here: their embeddings tell nothing."""
STEPS = 200


@pytest.fixture(scope="module")
def good() -> TrainedModel:
    return trained_model(known_table(3000), max_steps=STEPS)


@pytest.fixture(scope="module")
def bad() -> TrainedModel:
    """Learned from columns that were shuffled, each by itself."""
    train = known_table(3000)
    cells = [train[name].shuffle(seed=seed) for seed, name in enumerate(train.columns)]
    return trained_model(pl.DataFrame(cells), max_steps=STEPS)


def structure(challenger: TrainedModel, champion: TrainedModel) -> tuple[float, list[str]]:
    """How much likelier hidden cells are under the challenger, nats; and the vetoes."""
    rows = known_table(1000, 9)
    both = [gather(model, rows, "elbo", challenger, champion) for model in (challenger, champion)]
    verdict = judge(*both, metric="elbo", groups={}, section=SECTION)
    return float((both[0].structure - both[1].structure).mean()), [veto.name for veto in verdict.vetoes]


@pytest.mark.parametrize("numeric", ["standard", "quantile"])
def test_a_wrong_amount_neither_refuses_a_good_challenger_nor_hides_a_bad_one(
    good: TrainedModel, bad: TrainedModel, numeric: str
) -> None:
    """Fixed seeds. A champion with 1e5 among its 3,001 prices, in either encoding; the challengers' is `auto`.

    Before, the good challenger was worse by 0.75 nats and refused. The bad one is worse by more than half a nat.
    """
    wrong = known_table(1).with_columns(price=pl.lit(1e5))
    champion = trained_model(pl.concat([known_table(3000), wrong]), numeric=numeric, max_steps=STEPS)
    gained, vetoes = structure(good, champion)
    assert abs(gained) < 0.1
    assert "structure" not in vetoes
    gained, vetoes = structure(bad, champion)
    assert gained < -0.5
    assert "structure" in vetoes
