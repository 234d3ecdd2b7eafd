"""The generator's training: its number of steps, resuming, batches in parts."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.unit.training.small_runs import generator_trainer, killed_at, leave_memory_for_seven, quiet


def test_a_generator_of_few_rows_takes_few_steps() -> None:
    looks = []
    generator_trainer(max_steps=2000, max_epochs=2).fit(lambda steps, *_: looks.append(steps))
    assert looks[-1] == 2 * 192 / 32
    assert generator_trainer(batch_size=1000, max_epochs=7).steps == 7  # no batch is larger than the table


@pytest.fixture(scope="module")
def undisturbed() -> SimpleNamespace:
    """A generator whose training was not killed, and what it reported on the way."""
    looks = []
    generator = generator_trainer().fit(lambda steps, loss, _: looks.append((steps, loss)))
    return SimpleNamespace(generator=generator, looks=looks)


@pytest.mark.slow
@pytest.mark.parametrize("kills", [(5,), (17,), (39,), (19, 9)])
def test_a_generator_killed_at_any_step_ends_with_the_same_weights(
    undisturbed: SimpleNamespace, kills: tuple[int, ...], tmp_path: Path
) -> None:
    again = []
    for step in kills:
        run = generator_trainer(tmp_path / "g.pt")
        killed_at(run, step, lambda run=run: run.fit(quiet))
    resumed = generator_trainer(tmp_path / "g.pt").fit(lambda steps, loss, _: again.append((steps, loss)))
    assert again == undisturbed.looks
    assert len(again) == 5
    for name, value in undisturbed.generator.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


@pytest.mark.slow
def test_a_generator_learns_from_a_batch_in_parts_what_it_learns_from_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    losses, again = [], []
    # In 16 bits the weights would drift apart: Muon steps as far along directions that are rounding alone.
    whole = generator_trainer(precision="float32")
    generator = whole.fit(lambda _, loss, __: losses.append(loss))
    leave_memory_for_seven(whole, monkeypatch)
    parts = generator_trainer(precision="float32")
    assert parts.rows_at_once in (6, 7)
    other = parts.fit(lambda _, loss, __: again.append(loss))
    assert again == pytest.approx(losses, rel=1e-5)
    for name, value in generator.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, atol=5e-3, rtol=5e-3)
