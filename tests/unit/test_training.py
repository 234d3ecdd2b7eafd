"""The loop: it learns, repeats itself, resumes exactly, and stops when it should."""

from pathlib import Path

import pytest
import torch

from tests.conftest import SIZES, random_table, small_network
from varjepa.config import MaskingSection, ObjectiveSection, TrainingSection
from varjepa.errors import ConfigError, VarjepaError
from varjepa.training.device import resolve_device
from varjepa.training.loop import Trainer

TRAINING = TrainingSection(max_epochs=4, batch_size=32, lr=3e-3, warmup_epochs=0.5, patience=10)


def correlated(rows: int = 256) -> tuple:
    """A table whose features say something about each other."""
    table = random_table(rows, missing=0.1)
    table.numeric[:, 1] = table.numeric[:, 0]
    table.codes[:, 1] = 1 + (table.numeric[:, 0] > 0).long()
    return table.rows(slice(0, 192)), table.rows(slice(192, rows))


def trainer(
    training: TrainingSection = TRAINING, checkpoint: Path | None = None, evaluate=None, dropout: float = 0.01
) -> Trainer:
    from tests.conftest import SMALL

    model = SMALL.model_copy(update={"dropout": dropout})
    return Trainer(network=small_network(sizes=SIZES, model=model), tables=correlated(), objective=ObjectiveSection(),
                   masking=MaskingSection(), training=training, evaluate=evaluate, checkpoint=checkpoint)  # fmt: skip


def quiet(*_: object) -> None:
    pass


def weights(of: Trainer) -> torch.Tensor:
    return torch.cat([value.flatten() for value in of.network.state_dict().values()])


def test_training_raises_the_elbo_and_keeps_the_best_epoch() -> None:
    run = trainer(TRAINING.model_copy(update={"max_epochs": 12}))
    trained = run.fit(quiet, quiet)
    elbos = [metrics["validation/elbo"] for metrics in trained.history]
    assert elbos[-1] > elbos[0] + 0.2
    assert trained.best_epoch == elbos.index(max(elbos))
    terms = run.evaluate_terms(run.validation)
    assert run.objective.named(terms)["elbo"] == pytest.approx(max(elbos), abs=1e-6)


def test_same_seed_same_weights_other_seed_other_weights() -> None:
    runs = [trainer(TRAINING.model_copy(update={"seed": seed})) for seed in (0, 0, 1)]
    for run in runs:
        run.fit(quiet, quiet)
    assert torch.equal(weights(runs[0]), weights(runs[1]))
    assert not torch.equal(weights(runs[0]), weights(runs[2]))


def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path: Path) -> None:
    whole = trainer()
    expected = whole.fit(quiet, quiet)

    class KilledError(Exception):
        pass

    def kill(metrics: dict[str, float]) -> None:
        if metrics["epoch"] == 1:
            raise KilledError

    with pytest.raises(KilledError):
        trainer(checkpoint=tmp_path / "c.pt").fit(kill, quiet)
    resumed, seen = trainer(checkpoint=tmp_path / "c.pt"), []
    found = resumed.fit(lambda metrics: seen.append(metrics["epoch"]), quiet)
    assert seen == [0, 1, 2, 3]
    assert torch.equal(weights(whole), weights(resumed))
    drop = {"training/seconds", "training/rows_per_second"}
    for a, b in zip(expected.history, found.history, strict=True):
        assert {k: v for k, v in a.items() if k not in drop} == {k: v for k, v in b.items() if k not in drop}


def test_patience_counts_evaluations_and_the_best_score_wins() -> None:
    scores = iter([1.0, 5.0, 2.0, float("nan"), 4.0, 9.0])
    training = TRAINING.model_copy(update={"max_epochs": 6, "patience": 3})
    trained = trainer(training, evaluate=lambda _: (next(scores), {})).fit(quiet, quiet)
    assert (trained.best_epoch, trained.stopped_early, len(trained.history)) == (1, True, 5)


def test_divergence_is_said() -> None:
    with pytest.raises(VarjepaError, match=r"diverged.*training.lr"):
        trainer(evaluate=lambda _: (float("nan"), {})).fit(quiet, quiet)


def test_noise_scales_respect_their_floor() -> None:
    run = trainer(TRAINING.model_copy(update={"max_epochs": 2}))
    with torch.no_grad():
        run.network.row_decoder.raw_noise.fill_(-50.0)
    assert run.network.row_decoder.noise_scale.item() == pytest.approx(0.05)
    run.fit(quiet, quiet)


def test_unknown_devices_are_refused() -> None:
    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(ConfigError, match="cannot be used here"):
        resolve_device("warp")
