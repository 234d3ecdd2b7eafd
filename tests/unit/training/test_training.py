"""The loop: it learns, repeats itself, resumes exactly, and stops when it should."""

from pathlib import Path

import pytest
import torch

from tests.conftest import SIZES, SMALL, random_table, small_network
from varjepa.config import MaskingSection, ObjectiveSection, TrainingSection
from varjepa.config.heads import GeneratorSection
from varjepa.data.tensors.bars import Cells
from varjepa.errors import ConfigError, VarjepaError
from varjepa.inference.generator.fitting import cut_bars
from varjepa.models.new_network import build_network
from varjepa.nn.random import initial_weights
from varjepa.training import activations
from varjepa.training.activations import kept_bytes
from varjepa.training.device import resolve_device
from varjepa.training.generator import GeneratorTrainer
from varjepa.training.loop import Trainer

TRAINING = TrainingSection(max_epochs=4, batch_size=32, lr=3e-3, warmup_epochs=0.5, patience=10)


def correlated(rows: int = 256) -> tuple:
    """A table whose features say something about each other."""
    table = random_table(rows, missing=0.1)
    table.numeric[:, 1] = table.numeric[:, 0]
    table.codes[:, 1] = 1 + (table.numeric[:, 0] > 0).long()
    return table.rows(slice(0, 192)), table.rows(slice(192, rows))


def trainer(
    training: TrainingSection = TRAINING, checkpoint: Path | None = None, evaluate=None, kind: str = "var_t_jepa"
) -> Trainer:
    model = SMALL.model_copy(update={"dropout": 0.01, "kind": kind})
    with initial_weights(0):
        network = build_network(sizes=SIZES, model=model)
    return Trainer(network=network, tables=correlated(), objective=ObjectiveSection(),
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


class KilledError(Exception):
    pass


def killed_at(run, step: int, call) -> None:
    """Calls, and kills the training before a step that would come after so many."""
    real, taken = run._step, iter(range(step))

    def step_or_die(*arguments):
        if next(taken, None) is None:
            raise KilledError
        return real(*arguments)

    run._step = step_or_die
    with pytest.raises(KilledError):
        call()


def undated(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{k: v for k, v in m.items() if k not in ("training/seconds", "training/rows_per_second")} for m in history]


# 24 steps an epoch, a checkpoint after every eighth: before the first, within both epochs, after an epoch, twice.
@pytest.mark.parametrize("kills", [(5,), (13,), (24,), (45,), (19, 9)])
@pytest.mark.parametrize("kind", ["var_t_jepa", "t_jepa"])
def test_a_run_killed_at_any_step_ends_with_the_same_weights(kind: str, kills: tuple[int, ...], tmp_path: Path) -> None:
    training = TRAINING.model_copy(update={"max_epochs": 2, "batch_size": 8, "checkpoint_minutes": 0.0})
    whole = trainer(training, kind=kind)
    expected = whole.fit(quiet, quiet)
    for step in kills:
        run = trainer(training, checkpoint=tmp_path / "c.pt", kind=kind)
        killed_at(run, step, lambda run=run: run.fit(quiet, quiet))
    resumed, seen = trainer(training, checkpoint=tmp_path / "c.pt", kind=kind), []
    left, real = [], resumed._step
    resumed._step = lambda *arguments: left.append(1) or real(*arguments)
    found = resumed.fit(lambda metrics: seen.append(metrics["epoch"]), quiet)
    assert seen == [0, 1]
    assert len(left) == 48 - sum(step // 8 * 8 for step in kills)
    assert torch.equal(weights(whole), weights(resumed))
    assert undated(found.history) == undated(expected.history)


def generator_trainer(checkpoint: Path | None = None, **settings: int) -> GeneratorTrainer:
    tables = correlated()
    cells = Cells(cut_bars(tables[0], 8), SIZES.cardinalities)
    section = GeneratorSection(n_layers=1, evaluations=5, **({"max_steps": 40, "batch_size": 32} | settings))
    training = TrainingSection(seed=3, checkpoint_minutes=0.0)
    return GeneratorTrainer(network=small_network(), cells=cells, tables=tables, section=section, n_heads=2,
                            training=training, checkpoint=checkpoint)  # fmt: skip


def test_a_generator_of_few_rows_takes_few_steps() -> None:
    looks = []
    generator_trainer(max_steps=2000, max_epochs=2).fit(lambda steps, *_: looks.append(steps))
    assert looks[-1] == 2 * 192 / 32
    assert generator_trainer(batch_size=1000, max_epochs=7).steps == 7  # no batch is larger than the table


@pytest.mark.parametrize("kills", [(5,), (17,), (39,), (19, 9)])
def test_a_generator_killed_at_any_step_ends_with_the_same_weights(kills: tuple[int, ...], tmp_path: Path) -> None:
    looks, again = [], []
    whole = generator_trainer().fit(lambda steps, loss, _: looks.append((steps, loss)))
    for step in kills:
        run = generator_trainer(tmp_path / "g.pt")
        killed_at(run, step, lambda run=run: run.fit(quiet))
    resumed = generator_trainer(tmp_path / "g.pt").fit(lambda steps, loss, _: again.append((steps, loss)))
    assert again == looks
    assert len(looks) == 5
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def leave_memory_for_seven(run: Trainer | GeneratorTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    row_bytes = activations.ACTIVATIONS // run.rows_at_once
    monkeypatch.setattr(activations, "ACTIVATIONS", 7 * row_bytes)  # else batches of small tables are never divided


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


def test_a_generator_learns_from_a_batch_in_parts_what_it_learns_from_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    losses, again = [], []
    whole = generator_trainer()
    generator = whole.fit(lambda _, loss, __: losses.append(loss))
    leave_memory_for_seven(whole, monkeypatch)
    parts = generator_trainer()
    assert parts.rows_at_once in (6, 7)
    other = parts.fit(lambda _, loss, __: again.append(loss))
    assert again == pytest.approx(losses, rel=2e-3)  # in bfloat16 where the machine has it
    for name, value in generator.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, atol=5e-3, rtol=5e-3)


def test_what_a_forward_pass_keeps_is_counted_once() -> None:
    weight, x = torch.randn(50, 50, requires_grad=True), torch.randn(10, 50)

    def forward() -> torch.Tensor:
        return ((x @ weight).exp() * x).sum()

    assert kept_bytes(forward, [weight]) == 2 * 4 * 500  # x and the exponential, both once


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
