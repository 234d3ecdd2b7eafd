"""Imports leave out what takes long and serves nobody."""

import subprocess
import sys

import pytest

from varjepa.tasks.steps.imports import ADDRESSES, quick_imports

QUICK = f"""
import sys
from varjepa.tasks.steps.imports import quick_imports
with quick_imports():
    import jsonschema
print("{ADDRESSES}" in sys.modules, *(form in jsonschema.FormatChecker.checkers for form in ("iri", "date")))
"""


def test_the_grammar_of_addresses_is_not_compiled() -> None:
    done = subprocess.run([sys.executable, "-c", QUICK], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True"]


def test_a_package_that_is_left_out_can_be_imported_afterwards() -> None:
    was_there = ADDRESSES in sys.modules
    with quick_imports():
        if not was_there:
            with pytest.raises(ImportError):
                __import__(ADDRESSES)
    assert (ADDRESSES in sys.modules) == was_there
