"""Schedules of the KL weights and of the learning rate."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from varjepa.config import ObjectiveSection, TrainingSection
from varjepa.objective.elbo import final_weights
from varjepa.objective.schedules import PUBLISHED_EMA, ema_start, initial_share, lr_at, weights_at


def test_kl_weights_rise_linearly_over_their_own_epochs() -> None:
    objective = ObjectiveSection(kl_sx_anneal_epochs=2, kl_z_anneal_epochs=4, kl_sy_anneal_epochs=0)
    assert weights_at(0, 10, objective)[2:] == (0.0, 0.0, objective.kl_sy_final)
    halfway = weights_at(10, 10, objective)
    assert halfway.kl_sx == pytest.approx(objective.kl_sx_final / 2)
    assert halfway.kl_z == pytest.approx(objective.kl_z_final / 4)
    assert weights_at(1000, 10, objective) == final_weights(objective)


def test_learning_rate_warms_up_and_decays() -> None:
    training = TrainingSection(lr=1.0, warmup_epochs=2, max_epochs=10, lr_end_share=0.1)
    rates = [lr_at(step, 10, training) for step in range(100)]
    assert rates[:20] == sorted(rates[:20])
    assert rates[20] == 1.0
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert rates[-1] == pytest.approx(0.1, abs=0.01)
    assert lr_at(50, 10, training.model_copy(update={"lr_end_share": 1.0})) == 1.0
    larger = training.model_copy(update={"batch_size": 2048, "lr_batch": 512})
    assert [lr_at(step, 10, larger) for step in range(100)] == pytest.approx([2 * rate for rate in rates])


@pytest.mark.slow
@given(steps=st.integers(1, 100_000))
@example(steps=5000)  # from here on the published share is kept
@settings(max_examples=60)
def test_little_of_the_initial_weights_is_left_after_any_number_of_steps(steps: int) -> None:
    start = ema_start(steps, None)
    assert 0 <= start <= PUBLISHED_EMA
    assert initial_share(steps - 1, steps, start) < 1e-4
    assert initial_share(steps // 2, steps, start) < 0.01  # where an early epoch is selected


@pytest.mark.parametrize(("steps", "left"), [(400, 0.45), (280, 0.57), (112, 0.80), (100_000, 0.0)])
def test_the_published_share_remains_a_choice_and_keeps_what_it_kept(steps: int, left: float) -> None:
    assert ema_start(steps, 0.996) == 0.996
    assert initial_share(steps - 1, steps, 0.996) == pytest.approx(left, abs=0.005)
