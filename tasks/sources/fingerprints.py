"""Fingerprints of tables: equal where the rows are the same."""

import hashlib
from pathlib import Path
from typing import Any

from tasks.steps.reuse import digest
from varjepa.data.files.found import name_within


def file_fingerprint(files: tuple[Path, ...]) -> str:
    """SHA-256 of one file, or of the names and SHA-256s of many; empty for none."""
    # One file: its plain SHA-256, which `sha256sum` confirms.
    sums = []
    for file in files:
        with file.open("rb") as stream:
            sums.append((name_within(file), hashlib.file_digest(stream, "sha256").hexdigest()))
    if len(sums) <= 1:
        return sums[0][1] if sums else ""
    return hashlib.sha256(digest(sums).encode()).hexdigest()


def fingerprint_of(kind: str, *facts: Any) -> str:
    """Fingerprint of a table that says itself which version it has.

    Args:
        kind: of the place.
        facts: plain data, such as an etag or a number of a version.
    """
    # `digest` is short, and a fingerprint has the length of a SHA-256 everywhere.
    return hashlib.sha256(repr((kind, facts)).encode()).hexdigest()
