"""Asks a server whether it is there."""

from urllib.error import HTTPError
from urllib.request import urlopen


def require_answer(url: str, *, seconds: float) -> None:
    """Returns where anything answers at `url`/health, whatever it says.

    Raises:
        OSError: nothing answers in time, or the address means nothing (`ValueError` where it is no URL).
    """
    try:
        with urlopen(f"{url.rstrip('/')}/health", timeout=seconds):  # noqa: S310 (the user's own server)
            return
    except HTTPError:
        return
