"""Checks whether a server answers."""

from urllib.error import HTTPError
from urllib.request import urlopen


def require_answer(url: str, *, seconds: float) -> None:
    """Returns if a server answers at `url`/health, with any status.

    Raises:
        OSError: no answer in time, or an unknown host.
        ValueError: `url` is not a URL.
    """
    try:
        with urlopen(f"{url.rstrip('/')}/health", timeout=seconds):  # noqa: S310 (the user's own server)
            return
    except HTTPError:
        return
