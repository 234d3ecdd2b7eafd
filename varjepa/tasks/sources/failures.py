"""Errors of object stores, lakes and databases in words that tell what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from varjepa.errors import DataError, InterruptedReadError, VarjepaError
from varjepa.redaction import redacted

LIBRARIES = (
    "polars", "obstore", "deltalake", "_internal", "adbc_driver_manager", "duckdb", "_duckdb", "sqlalchemy", "pymysql",
    "sqlite3", "pyiceberg", "httpx", "httpcore", "pyarrow", "botocore", "pyo3_runtime",
)  # fmt: skip
"""Modules whose errors speak of the place, not of a fault of ours."""

HOST = re.compile(
    r"could not translate host|Name or service not known|dns error|nodename nor servname|getaddrinfo|"
    r"resolve host|name resolution|No address associated",
    re.IGNORECASE,
)
REFUSED = re.compile(
    r"AccessDenied|Access denied|Forbidden|\b40[13]\b|InvalidAccessKeyId|SignatureDoesNotMatch|Unauthori[sz]ed|"
    r"Unauthenticated|password authentication|no password supplied|permission denied|CredentialsNotLoaded|"
    r"credential provider|Login failed|Missing credentials|NoCredentials|169\.254\.169\.254",
    re.IGNORECASE,
)
MISSING = re.compile(r"NoSuchKey|\b404\b|not found|does ?n[o']t exist|no such|Unknown database", re.IGNORECASE)
NO_ANSWER = re.compile(
    r"refused|reset by peer|timed? ?out|connection (was )?(closed|aborted|lost)|closed (the|before)|broken pipe|"
    r"terminat|Lost connection|gone away|unexpected EOF|error sending request|error decoding response|"
    r"body error|incomplete|no connection to the server|Can't connect|peer closed|disconnected|shutting down|"
    r"starting up|\b50[0234]\b|SlowDown|without sending",
    re.IGNORECASE,
)
REGION = re.compile(r"PermanentRedirect|\b301\b|AuthorizationHeaderMalformed|region", re.IGNORECASE)

DURATION = re.compile(r" in \d+(?:\.\d+)?(?:ns|µs|ms|s)\b")
"""How long an attempt took. A number of milliseconds may look like the code of an answer."""

AGAIN = "Nothing was kept. Check that the server runs, then run the same command again."
RULES: tuple[tuple[re.Pattern[str], type[DataError], str, str], ...] = (
    (HOST, DataError, "cannot be reached", "Check the name of the host."),
    (REFUSED, DataError, "refuses access", "Check the credentials in the environment and the rights that they give."),
    (re.compile("NoSuchBucket"), DataError, "does not exist", "Check the name of the bucket."),
    (MISSING, DataError, "cannot be read", "Check the name."),
    (NO_ANSWER, InterruptedReadError, "does not answer", AGAIN),
    (REGION, DataError, "cannot be read", "Set AWS_REGION to the region of the bucket."),
)  # fmt: skip
"""What an error says -> our error, its words and what to do. The first rule that fits counts."""


@contextmanager
def reaching(description: str, done: str = "read") -> Iterator[None]:
    """Turns errors of libraries that read or write a place into a `DataError` that names it.

    Args:
        description: of the place.
        done: read or written.
    """
    try:
        yield
    except VarjepaError:
        raise
    except BaseException as error:  # a panic of a library in Rust, as over a damaged file, is no `Exception`
        if not isinstance(error, OSError) and type(error).__module__.partition(".")[0] not in LIBRARIES:
            raise
        raise failure(error, description, done) from None  # the original error may hold a password


def failure(error: BaseException, description: str, done: str = "read") -> DataError:
    """The error that says what happened at a place, and what to do."""
    text = DURATION.sub("", redacted(" ".join(str(getattr(error, "orig", None) or error).split())))
    # The address at which machines of a cloud ask for the credentials of their role, as the last resort.
    reason = "there are no credentials" if "169.254.169.254" in text else _shortened(text)
    if isinstance(error, ConnectionError | TimeoutError):
        return _no_answer(description, reason)
    for pattern, kind, happened, fix in RULES:
        if pattern.search(text):
            return kind(f"{description} {happened.replace('read', done)}: {reason}.", fix=fix)
    return DataError(f"{description} cannot be {done}: {reason}.")


def _no_answer(description: str, reason: str) -> DataError:
    return InterruptedReadError(f"{description} does not answer: {reason}.", fix=AGAIN)


def _shortened(text: str) -> str:
    """What an error says, without pages of details."""
    code = re.search(r"<Code>(.*?)</Code>.*?<Message>(.*?)</Message>", text)
    if code is not None:
        return f"{code[1]}, {code[2].rstrip('.')}"
    text = re.sub(r"\x1b\[\d+m|↳", "", text)
    text = re.split(r"Debug source:|Caused by:|Query was:|This error occurred with", text)[0]
    text = re.sub(r"^(INVALID_\w+|IO|NOT_FOUND|UNKNOWN|INTERNAL|UNAUTHORIZED): ", "", text)
    return text.strip().rstrip(".:")[:400]
