"""Names that MLflow accepts, for things that users have named; and the name of the user."""

import getpass
import hashlib
import os
import re

ODD = re.compile(r"[^\w\-. /]")
"""Characters that MLflow does not allow in the name of a metric."""

LONGEST = 200
"""MLflow accepts 250 characters; charts cut them much earlier."""

LONGEST_KEY = 60

DIGITS = 8


def metric_name(group: str, name: str) -> str:
    """The name of a metric of something that a user has named, such as a column.

    Different names give different metrics: a name that has to be changed or cut ends with digits of its SHA-256.

    Args:
        group: of the metrics, with slashes; ours, so it is accepted.
        name: of the column.

    Examples:
        >>> metric_name("drift/effect", "hours-per-week"), metric_name("drift/effect", "a:b")
        ('drift/effect/hours-per-week', 'drift/effect/a_b 6783a31e')
    """
    plain = ODD.sub("_", name)
    # MLflow reads names like paths, so it refuses `..` and what begins or ends with a slash.
    if plain != name or len(name) > LONGEST or any(part in ("", ".", "..") for part in name.split("/")):
        digits = hashlib.sha256(name.encode()).hexdigest()[:DIGITS]
        plain = f"{plain.replace('/', '_')[:LONGEST]} {digits}"
    return f"{group}/{plain}"


def artifact_key(name: str) -> str:
    """A key for Prefect's artifacts, which are of lower-case letters, digits and dashes only.

    Different names give different keys: a name that has to be changed or cut ends with digits of its SHA-256.

    Examples:
        >>> artifact_key("customers"), artifact_key("café")
        ('customers', 'caf-850f7dc4')
    """
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:LONGEST_KEY]
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:DIGITS]}".lstrip("-")


def user_name() -> str:
    """The name of the current user; its number where the system knows no name, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return str(os.getuid())
