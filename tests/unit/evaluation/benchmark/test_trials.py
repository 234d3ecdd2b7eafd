"""Every predictor gets the same number of trials, the first of which is the published one."""

import numpy as np
import pandas as pd
import pytest
import torch

from tests.unit.evaluation.benchmark.test_predictors import SMALL, problem
from varjepa.config import ON_FRAMES, PREDICTORS, PredictorName
from varjepa.config.predictors import RealMLPSection
from varjepa.evaluation.benchmark.predictors import Fitted, fit_predictors
from varjepa.evaluation.benchmark.predictors import fit as fitting
from varjepa.evaluation.benchmark.predictors.search import SPACES, trials, validation_score

QUICK = SMALL.model_copy(update={"epochs": 2, "realmlp": RealMLPSection(epochs=2)})


def fitted(name: PredictorName, *, count: int, n_classes: int = 2, seeds: tuple[int, ...] = (0, 1)) -> Fitted:
    (train, y), (validation, y_val), (test, _) = (problem(n, s) for n, s in ((400, 0), (200, 1), (100, 2)))
    if n_classes:
        y, y_val = (y > 0).long(), (y_val > 0).long()
    parts = [train, validation, test]
    if name in ON_FRAMES:
        parts = [pd.DataFrame(part.flat().numpy(), columns=list("abcdef")) for part in parts]
    settings = QUICK.model_copy(update={"trials": count})
    return fit_predictors(
        name, (parts[0], y), (parts[1], y_val), parts[2], n_classes=n_classes, seeds=seeds, settings=settings
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", PREDICTORS)
def test_every_predictor_has_the_same_trials(name: PredictorName, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    real = fitting.FITS[name]
    monkeypatch.setitem(
        fitting.FITS, name, lambda problem, settings, seeds, drawn: tried.append((len(seeds), drawn))
        or real(problem, settings, seeds, drawn),
    )  # fmt: skip
    found = fitted(name, count=3)
    assert [runs for runs, _ in tried] == [1, 1, 1, 2]
    assert tried[0][1] == {}
    assert [set(drawn) for _, drawn in tried[1:3]] == [set(SPACES[name])] * 2
    assert tried[3][1] == pytest.approx(found.drawn, abs=0.5)  # whole numbers are rounded
    assert found.test.shape == (2, 100, 2)
    assert torch.allclose(found.test.sum(-1), torch.ones(2, 100), atol=1e-5)
    assert torch.equal(fitted(name, count=3).test, found.test)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "n_classes"), [("xgboost", 0), ("xgboost", 3), ("lightgbm", 0), ("lightgbm", 2), ("skrub_trees", 2)]
)
def test_a_search_finds_what_validation_prefers(name: PredictorName, n_classes: int) -> None:
    y = problem(200, 1)[1]
    y = (y > 0).long() if n_classes else y
    scores = [validation_score(fitted(name, count=count, n_classes=n_classes), y, n_classes) for count in (1, 4)]
    assert scores[1] <= scores[0]


def test_one_trial_is_the_published_setting() -> None:
    """A fixed number of trees of a fixed depth, whatever validation says; all runs are equal."""
    found = fitted("xgboost", count=1)
    assert (found.best_epochs, found.drawn, len(found.history)) == ([99, 99], {}, 100)
    assert torch.equal(*found.test)


@pytest.mark.parametrize("name", SPACES)
def test_drawn_settings_lie_in_their_spaces(name: str) -> None:
    drawn = trials(name, 200, 3)
    assert drawn[0] == {}
    assert drawn[:5] == trials(name, 5, 3) != trials(name, 5, 4)
    for key, values in SPACES[name].items():
        found = np.array([trial[key] for trial in drawn[1:]])
        assert values.low <= found.min() <= found.max() <= values.high
        assert len(set(found)) > 5
        assert not values.whole or np.array_equal(found, found.round())


@pytest.mark.parametrize("name", ON_FRAMES)
@pytest.mark.parametrize("n_classes", [0, 3])
def test_raw_columns_with_words_gaps_and_a_class_unknown_to_training(name: PredictorName, n_classes: int) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "number": rng.normal(size=300), "word": rng.choice(["a", "b", None], 300),
        "day": pd.date_range("2020-01-01", periods=300), "yes": rng.random(300) < 0.5,
        "town": [f"town {number} of {number % 7}" for number in rng.integers(0, 60, 300)],
    })  # fmt: skip
    y = torch.tensor((frame["number"] > 0).to_list()).long()
    train, held = (frame[:200], y[:200]), frame[200:]
    unknown = torch.full((100,), 2) if n_classes else y[200:]
    found, again = (
        fit_predictors(name, train, (held, unknown), held, n_classes=n_classes, seeds=[0], settings=QUICK)
        for _ in range(2)
    )
    assert found.test.shape == (1, 100, max(1, n_classes))
    assert bool(found.test.isfinite().all())
    # Columns of many categories are projected at random.
    assert torch.equal(found.test, again.test)
