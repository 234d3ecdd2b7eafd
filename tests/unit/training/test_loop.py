"""The loop: it learns, repeats itself, resumes exactly, and stops when it should."""

import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.unit.training.small_runs import TRAINING, killed_at, leave_memory_for_seven, quiet, trainer, undated, weights
from varjepa.errors import VarjepaError
from varjepa.evaluation.epoch_scores import ProbeEvaluator, RankMeEvaluator


@pytest.mark.slow
def test_training_raises_the_elbo_and_keeps_the_best_epoch() -> None:
    run = trainer(TRAINING.model_copy(update={"max_epochs": 12}))
    trained = run.fit(quiet, quiet)
    elbos = [metrics["validation/elbo"] for metrics in trained.history]
    assert elbos[-1] > elbos[0] + 0.2
    assert trained.best_epoch == elbos.index(max(elbos))
    terms = run.evaluate_terms(run.validation)
    assert run.objective.named(terms)["elbo"] == pytest.approx(max(elbos), abs=1e-6)


@pytest.mark.slow
def test_same_seed_same_weights_other_seed_other_weights() -> None:
    runs = [trainer(TRAINING.model_copy(update={"seed": seed})) for seed in (0, 0, 1)]
    for run in runs:
        run.fit(quiet, quiet)
    assert torch.equal(weights(runs[0]), weights(runs[1]))
    assert not torch.equal(weights(runs[0]), weights(runs[2]))


MANY_STEPS = TRAINING.model_copy(update={"max_epochs": 2, "batch_size": 8, "checkpoint_minutes": 0.0})
"""24 steps an epoch, a checkpoint after every eighth."""


@pytest.fixture(scope="module", params=[("var_t_jepa", "muon"), ("t_jepa", "adamw")], ids=lambda both: both[0])
def undisturbed(request: pytest.FixtureRequest) -> SimpleNamespace:
    """Weights and history of a run that was not killed."""
    kind, optimizer = request.param
    training = MANY_STEPS.model_copy(update={"optimizer": optimizer})
    run = trainer(training, kind=kind)
    history = undated(run.fit(quiet, quiet).history)
    return SimpleNamespace(kind=kind, training=training, weights=weights(run), history=history)


# Before the first checkpoint, within both epochs, after an epoch, twice.
@pytest.mark.slow
@pytest.mark.parametrize("kills", [(5,), (13,), (24,), (45,), (19, 9)])
def test_a_run_killed_at_any_step_ends_with_the_same_weights(
    undisturbed: SimpleNamespace, kills: tuple[int, ...], tmp_path: Path
) -> None:
    kind, training = undisturbed.kind, undisturbed.training
    for step in kills:
        run = trainer(training, checkpoint=tmp_path / "c.pt", kind=kind)
        killed_at(run, step, lambda run=run: run.fit(quiet, quiet))
    resumed, seen = trainer(training, checkpoint=tmp_path / "c.pt", kind=kind), []
    left, real = [], resumed._step
    resumed._step = lambda *arguments: left.append(1) or real(*arguments)
    found = resumed.fit(lambda metrics: seen.append(metrics["epoch"]), quiet)
    assert seen == [0, 1]
    assert len(left) == 48 - sum(step // 8 * 8 for step in kills)
    assert torch.equal(undisturbed.weights, weights(resumed))
    assert undated(found.history) == undisturbed.history


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["var_t_jepa", "t_jepa"])
def test_a_batch_in_parts_teaches_what_it_teaches_as_a_whole(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    training = TRAINING.model_copy(update={"precision": "float32", "max_epochs": 2})
    whole = trainer(training, kind=kind)
    assert whole.rows_at_once > training.batch_size
    leave_memory_for_seven(whole, monkeypatch)
    parts = trainer(training, kind=kind)
    assert parts.rows_at_once in (6, 7)
    for mine, theirs in zip(whole.fit(quiet, quiet).history, parts.fit(quiet, quiet).history, strict=True):
        for name in mine.keys() - {"training/seconds", "training/rows_per_second"}:
            assert theirs[name] == pytest.approx(mine[name], abs=1e-4, rel=1e-4), name
    torch.testing.assert_close(weights(parts), weights(whole), atol=1e-3, rtol=1e-3)


@pytest.mark.slow
def test_patience_counts_evaluations_and_the_best_score_wins() -> None:
    scores = iter([1.0, 5.0, 2.0, float("nan"), 4.0, 9.0])
    training = TRAINING.model_copy(update={"max_epochs": 6, "patience": 3})
    trained = trainer(training, evaluate=lambda _: (next(scores), {})).fit(quiet, quiet)
    assert (trained.best_epoch, trained.stopped_early, len(trained.history)) == (1, True, 5)


def test_an_epoch_whose_weights_are_gone_never_makes_room_for_a_worse_one() -> None:
    """The first epoch ties until the third is the best; the second has more of the ELBO than the third."""
    epochs = iter([(0.900, 10.0), (0.903, 5.0), (0.9046, 1.0), (0.5, -100.0)])

    def evaluate(_: object) -> tuple[float, dict[str, float]]:
        score, elbo = next(epochs)
        return score, {"validation/elbo": elbo}

    assert trainer(evaluate=evaluate).fit(quiet, quiet).best_epoch == 2


@pytest.mark.slow
@pytest.mark.parametrize("rank", [False, True])
@pytest.mark.parametrize("kind", ["var_t_jepa", "t_jepa"])
def test_divergence_is_said(kind: str, rank: bool) -> None:
    run = trainer(TRAINING.model_copy(update={"lr": 1e4, "max_epochs": 1}), kind=kind)
    rows, label = run.validation, (run.validation.numeric[:, 0] > 0).float()
    probe = ProbeEvaluator(rows, label, rows, label, 2, selective=False, aggregate="mean", rank=kind == "t_jepa")
    run.evaluate = RankMeEvaluator(rows) if rank else probe
    with pytest.raises(VarjepaError, match=r"diverged.*training.lr"):
        run.fit(quiet, quiet)


def test_a_training_that_diverges_ends_with_the_epochs_before() -> None:
    run = trainer(TRAINING.model_copy(update={"max_epochs": 2}))
    rows, label = run.validation, (run.validation.numeric[:, 0] > 0).float()
    probe = ProbeEvaluator(rows, label, rows, label, 2, selective=False, aggregate="mean")

    def evaluate(network: Any) -> tuple[float, dict[str, float]]:
        if run.history:
            torch.nn.init.constant_(network.s_w_head.linear.bias, torch.inf)
        return probe(network)

    run.evaluate = evaluate
    trained = run.fit(quiet, quiet)
    assert (trained.best_epoch, len(trained.history)) == (0, 2)
    assert weights(run).isfinite().all()


@pytest.mark.slow
def test_noise_scales_respect_their_floor() -> None:
    run = trainer(TRAINING.model_copy(update={"max_epochs": 2}))
    with torch.no_grad():
        run.network.row_decoder.raw_noise.fill_(-50.0)
    assert run.network.row_decoder.noise_scale.item() == pytest.approx(0.05)
    run.fit(quiet, quiet)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_end_of_a_step_and_a_checkpoint(tmp_path: Path, number: signal.Signals) -> None:
    whole = trainer()
    whole.fit(quiet, quiet)
    before, checkpoint = signal.signal(number, signal.default_int_handler), tmp_path / "checkpoint.pt"
    interrupted = trainer(checkpoint=checkpoint)
    real, steps = interrupted._step, iter(range(100))

    def step(*arguments: Any) -> Any:
        if next(steps) == 8:  # in the second epoch of six steps
            signal.raise_signal(number)
        return real(*arguments)

    interrupted._step = step
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted.fit(quiet, quiet)
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    assert torch.load(checkpoint, weights_only=True)["position"]["step"] == 3
    resumed = trainer(checkpoint=checkpoint)
    resumed.fit(quiet, quiet)
    assert torch.equal(weights(resumed), weights(whole))
