"""Work of a thread that accompanies a block and ends with it, whenever the block is interrupted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Thread

from varjepa.interruption import signals_held


class End:
    """The end of a block, for which a thread waits.

    It is a lock that is released at the end, in one call that Ctrl-C does not cut in two: `threading.Event.set` is
    written in Python, and an interruption in the middle of it leaves the event unset and its thread running forever.
    """

    def __init__(self) -> None:
        self._held = Lock()
        self._held.acquire()
        self.come = self._held.release

    def wait(self, seconds: float) -> bool:
        """Waits for the end.

        Args:
            seconds: at most.

        Returns:
            Whether it has come.
        """
        come = self._held.acquire(timeout=seconds)
        if come:
            self._held.release()
        return come


@contextmanager
def accompanied_by(work: Callable[[End], object], *, name: str, last_seconds: float = 0.0) -> Iterator[None]:
    """Runs a function in a thread during the block.

    Args:
        work: gets the end of the block, and returns soon after it has come.
        name: of the thread.
        last_seconds: how long the block waits for the function at its end.
    """
    end = End()
    thread, come = Thread(target=work, args=(end,), name=name, daemon=True), end.come
    try:
        with signals_held():  # which may leave a thread unborn, or raise an error of its locks
            thread.start()
        yield
    finally:
        come()
        if last_seconds and thread.ident is not None:
            thread.join(last_seconds)
