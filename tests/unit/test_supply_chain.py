"""The lock file pins every dependency with hashes, within the bounds of the project, and names no index."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = re.findall(r"\w+", re.search(r"^EXTRAS := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1])


def pinned() -> dict[str, list[Version]]:
    versions: dict[str, list[Version]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", LOCK, re.MULTILINE):
        versions.setdefault(canonicalize_name(name), []).append(Version(version))
    return versions


def required() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    lines = PROJECT["dependencies"] + [line for extra in EXTRAS for line in extras[extra]]
    return [Requirement(line) for line in lines]


def test_the_lock_covers_every_extra_of_the_package() -> None:
    assert set(EXTRAS) == set(PROJECT["optional-dependencies"])


@pytest.mark.parametrize("requirement", required(), ids=lambda requirement: requirement.name)
def test_every_dependency_is_pinned_within_its_bounds(requirement: Requirement) -> None:
    versions = pinned()[canonicalize_name(requirement.name)]
    assert all(requirement.specifier.contains(version) for version in versions), versions


def test_every_pin_has_hashes_and_no_place() -> None:
    entries = re.split(r"^(?=[\w.-]+==)", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) > 200
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in LOCK
