"""Computations on another core."""

import threading
import time
from contextvars import ContextVar

import pytest
import torch

from tests.unit.inference.heads.test_heads import fitting_of
from varjepa.inference.heads.aside import SMALL, Aside, halved_threads, threads_for

WHERE = ContextVar("WHERE", default="nowhere")


def test_another_thread_computes_the_result_in_the_context_of_this_one() -> None:
    WHERE.set("here")
    thread, where = Aside(lambda: (threading.current_thread(), WHERE.get())).result()
    assert thread is not threading.current_thread()
    assert thread.daemon
    assert where == "here"


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), MemoryError()])
def test_errors_arrive_where_the_result_is_needed(error: BaseException) -> None:
    def fails() -> None:
        raise error

    aside = Aside(fails)
    for _ in range(2):
        with pytest.raises(type(error)) as caught:
            aside.result()
        assert caught.value is error


@pytest.mark.parametrize(("every", "each"), [(1, 1), (2, 1), (3, 1), (4, 2)])
def test_threads_are_halved_and_come_back(every: int, each: int) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(every)
        with pytest.raises(RuntimeError, match="stop"), halved_threads() as cores_for_two:  # noqa: PT012 (both contexts end by it)
            assert torch.get_num_threads() == each
            assert cores_for_two is (every > 1)
            assert Aside(torch.get_num_threads).result() == each
            raise RuntimeError("stop")
        assert torch.get_num_threads() == every
        assert threads_for(SMALL) == 1
        assert threads_for(SMALL + 1) == every
    finally:
        torch.set_num_threads(before)


def test_who_goes_on_alone_has_all_threads() -> None:
    before, alone = torch.get_num_threads(), threading.Event()
    found: list[int] = []

    def trees() -> int:
        found.append(threads_for(SMALL + 1))
        alone.wait(60)
        return threads_for(SMALL + 1)

    try:
        torch.set_num_threads(4)
        with halved_threads():
            aside = Aside(trees)
            while not found:
                time.sleep(0.001)
        alone.set()
        assert aside.result() == 4
        assert found == [2]
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize(("label", "head"), [("class", "forest"), ("value", "linear")])
def test_heads_fitted_side_by_side_are_those_fitted_one_by_one(label: str, head: str) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        both, one = (fitting_of("line", label=label, head=head, rows=200)[0] for _ in range(2))
        both.fit_side_by_side()
        torch.set_num_threads(1)
        for (kind, features), fitted in both.fitted.items():
            for name, values in one.head(kind, features).tensors().items():
                assert torch.equal(fitted.tensors()[name], values), (kind, features, name)
        assert both.fitted.keys() >= {("linear", "embedding"), ("linear", "raw"), ("boosted", "raw")}
        assert (("forest", "raw") in both.fitted) is (head != "linear")
    finally:
        torch.set_num_threads(before)
