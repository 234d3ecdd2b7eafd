"""Checks whether a server answers."""

import httpx

from varjepa.redaction import redacted


def require_answer(url: str, *, seconds: float) -> None:
    """Returns if a server answers at `url`/health, with any status.

    Raises:
        OSError: no answer in time, or an unknown host.
        ValueError: `url` is not a URL.
    """
    try:
        # httpx, unlike urllib, knows accounts in a URL. It would read all certificates at every call, also without TLS.
        httpx.get(f"{url.rstrip('/')}/health", timeout=seconds, verify=not url.lower().startswith("http:"))
    except httpx.InvalidURL as error:
        raise ValueError(redacted(str(error))) from None
    except httpx.HTTPError as error:
        raise OSError(redacted(str(error)) or type(error).__name__) from None
