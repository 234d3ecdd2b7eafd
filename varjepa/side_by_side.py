"""Parts of a batch computed side by side, each on a thread of its own.

The operations of small networks are too short to be divided among threads: handing out the work takes as long as the
work. A thread that computes its own rows from end to end waits for the others once per batch instead.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")

MOST = 4
"""Largest number of parts: what Python itself does for a part happens one thread at a time."""

LEAST = 2**17
"""Numbers in the tokens of a part (rows, features, width) below which another thread gains nothing: 128 rows of 32
features at width 32."""


def parts_at_once(numbers: int, device: torch.device) -> int:
    """How many parts of some rows to compute at a time.

    Args:
        numbers: in the tokens of all rows: rows times features times width.
        device: of the rows; a GPU computes all rows at once.
    """
    if device.type != "cpu" or _is_worker():
        return 1
    return max(1, min(torch.get_num_threads(), MOST, numbers // LEAST))


@contextmanager
def threads_for(numbers: int, device: torch.device) -> Iterator[None]:
    """While it lasts, torch has one thread for operations if a batch is too small to be computed in parts.

    Two threads would divide operations of some microseconds, and sleep between them: in a thread that is not the main
    one, where steps of a run are computed, waking them takes longer than the work.

    Args:
        numbers: in the tokens of a batch: rows times features times width.
        device: of the rows; for a GPU nothing changes.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or parts_at_once(numbers, device) > 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def side_by_side(compute: Callable[[T], R], parts: Sequence[T]) -> list[R]:
    """Results of all parts, in their order; torch's threads are shared out among them.

    Whether gradients are recorded is as in the calling thread; other contexts, such as autocast, are `compute`'s own.

    Args:
        compute: the result of a part; it must not change what other parts read.
        parts: one per thread.

    Raises:
        Exception: of the first part that failed, after all have ended.
    """
    if len(parts) == 1:
        return [compute(parts[0])]
    inference, gradients = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    def alone(part: T) -> R:
        with torch.inference_mode(inference), torch.set_grad_enabled(gradients):
            return compute(part)

    pool = _pool(len(parts), max(1, torch.get_num_threads() // len(parts)))
    futures = [pool.submit(alone, part) for part in parts]
    wait(futures)
    return [future.result() for future in futures]


_worker = threading.local()


def _is_worker() -> bool:
    return getattr(_worker, "of_a_pool", False)


@lru_cache
def _pool(workers: int, threads: int) -> ThreadPoolExecutor:
    """Threads that live as long as the process; each lets torch use some threads."""
    own, started = torch.get_num_threads(), threading.Barrier(workers)

    def start() -> None:
        _worker.of_a_pool = True
        torch.get_num_threads()  # the first call in a thread takes the number that was set last by any other
        torch.set_num_threads(threads)

    pool = ThreadPoolExecutor(workers, "side-by-side", start)
    wait([pool.submit(started.wait) for _ in range(workers)])
    torch.set_num_threads(own)  # for threads to come
    return pool


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child process has none of the threads
