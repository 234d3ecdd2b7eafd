"""Imports that take less time."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

ADDRESSES = "rfc3987_syntax"
"""A package by which jsonschema checks the form of international web addresses, if it is installed, as with Jupyter. It
compiles their grammar when it is imported, which takes a second, and nothing of ours checks one."""


@contextmanager
def quick_imports() -> Iterator[None]:
    """Speeds up the imports in the block to about three quarters of the time, without garbage collection.

    Imports create objects that live as long as the process. The collector also skips them afterwards.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        with _as_if_not_installed(ADDRESSES):
            yield
    finally:
        gc.freeze()  # moves all objects into a generation that is never searched
        if enabled:
            gc.enable()


@contextmanager
def _as_if_not_installed(package: str) -> Iterator[None]:
    """Lets imports of a package fail in the block, as those who import it only if they can expect."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # Python's own sign for it
    try:
        yield
    finally:
        del sys.modules[package]
