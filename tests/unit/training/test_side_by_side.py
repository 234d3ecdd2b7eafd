"""Threads that share a batch: results in order, the caller's modes, errors, and the same learning as one thread."""

import multiprocessing
import threading
import time
from collections.abc import Iterator

import pytest
import torch

from tests.small_networks import random_table, small_network
from tests.unit.training.small_runs import TRAINING, generator_trainer, quiet, trainer, undated, weights
from varjepa import side_by_side as threads
from varjepa.models.embedding import embed
from varjepa.side_by_side import parts_at_once, side_by_side, threads_for

CPU = torch.device("cpu")


@pytest.fixture
def three_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As on a machine of three cores, for tables however small."""
    before = torch.get_num_threads()
    monkeypatch.setattr(threads, "LEAST", 1)
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_parts_are_computed_at_the_same_time_and_come_in_order(three_threads: None) -> None:
    together = threading.Barrier(3, timeout=30)

    def compute(part: int) -> tuple[int, int, int]:
        together.wait()  # passes only if all three are at work
        time.sleep(0.02 * (3 - part))
        return part, torch.get_num_threads(), parts_at_once(10**9, CPU)

    # Each has one of the three threads, and does not divide its work again.
    assert side_by_side(compute, [0, 1, 2]) == [(0, 1, 1), (1, 1, 1), (2, 1, 1)]
    assert torch.get_num_threads() == 3
    # Threads that other libraries start later are not limited by those of the pool.
    seen: list[int] = []
    later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert seen == [3]


@pytest.mark.parametrize(("numbers", "expected"), [(0, 1), (2 * threads.LEAST - 1, 1), (2 * threads.LEAST, 3)])
def test_batches_too_small_for_parts_have_one_thread(numbers: int, expected: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with threads_for(numbers, CPU):
            assert torch.get_num_threads() == expected
        assert torch.get_num_threads() == 3
        with threads_for(numbers, torch.device("cuda")):
            assert torch.get_num_threads() == 3
        with pytest.raises(ValueError, match="broken"), threads_for(numbers, CPU):
            raise ValueError("broken")
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("make", [lambda: trainer(TRAINING.model_copy(update={"max_epochs": 1})), generator_trainer])
def test_small_batches_are_trained_on_by_one_thread(make, monkeypatch: pytest.MonkeyPatch) -> None:
    before, seen = torch.get_num_threads(), set[int]()
    training = make()
    step = training._step
    # The step as it is, which also notes how many threads it has.
    monkeypatch.setattr(training, "_step", lambda *given: [seen.add(torch.get_num_threads()), step(*given)][1])
    torch.set_num_threads(3)
    try:
        training.fit(*[quiet] * (1 if make is generator_trainer else 2))
        assert (seen, torch.get_num_threads()) == ({1}, 3)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_gradients_are_recorded_as_in_the_calling_thread(mode: type, three_threads: None) -> None:
    def modes(_: int) -> tuple[bool, bool]:
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    with mode():
        assert side_by_side(modes, [0, 1]) == [modes(0)] * 2


def test_the_first_error_comes_after_all_parts_have_ended(three_threads: None) -> None:
    ended = []

    def compute(part: int) -> None:
        if part == 0:
            raise ValueError("part 0")
        time.sleep(0.1)
        ended.append(part)

    with pytest.raises(ValueError, match="part 0"):
        side_by_side(compute, [0, 1, 2])
    assert sorted(ended) == [1, 2]


def _in_a_child(answers: multiprocessing.Queue) -> None:
    answers.put(side_by_side(abs, [-1, -2]))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_starts_threads_of_its_own(three_threads: None) -> None:
    side_by_side(abs, [-1, -2])
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_in_a_child, args=(answers,))
    child.start()
    assert answers.get(timeout=60) == [1, 2]
    child.join()


def test_small_work_stays_on_one_thread() -> None:
    assert parts_at_once(threads.LEAST * 2 - 1, CPU) == 1
    assert parts_at_once(10**9, torch.device("meta")) == 1
    assert parts_at_once(10**9, CPU) == min(torch.get_num_threads(), threads.MOST)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["var_t_jepa", "t_jepa"])
def test_threads_learn_what_one_learns_and_the_same_every_time(kind: str, request: pytest.FixtureRequest) -> None:
    training = TRAINING.model_copy(update={"precision": "float32", "max_epochs": 2})
    alone = trainer(training, kind=kind)
    history = alone.fit(quiet, quiet).history
    request.getfixturevalue("three_threads")
    runs = [trainer(training, kind=kind) for _ in range(2)]
    histories = [undated(run.fit(quiet, quiet).history) for run in runs]
    assert histories[0] == histories[1]
    assert torch.equal(weights(runs[0]), weights(runs[1]))
    for mine, theirs in zip(undated(history), histories[0], strict=True):
        assert theirs == pytest.approx(mine, abs=1e-4, rel=1e-4)
    torch.testing.assert_close(weights(runs[0]), weights(alone), atol=1e-3, rtol=1e-3)


@pytest.mark.slow
def test_threads_train_the_generator_that_one_trains(request: pytest.FixtureRequest) -> None:
    alone: list[float] = []
    generator_trainer().fit(lambda _, loss, __: alone.append(loss))
    request.getfixturevalue("three_threads")
    looks: list[list[float]] = [[], []]
    for look in looks:
        generator_trainer().fit(lambda _, loss, __, look=look: look.append(loss))
    assert looks[0] == looks[1] == pytest.approx(alone, rel=2e-3)  # in bfloat16 where the machine has it


@pytest.mark.parametrize("rows", [0, 1, 7, 100])
def test_threads_embed_rows_as_one_does_up_to_rounding(rows: int, request: pytest.FixtureRequest) -> None:
    network, table = small_network(), random_table(rows, missing=0.1)
    alone = embed(network, table, 7)
    request.getfixturevalue("three_threads")
    together = embed(network, table, 7)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert not together.mean.requires_grad
