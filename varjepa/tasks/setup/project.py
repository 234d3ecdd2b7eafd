"""`varjepa init --project`: a folder with everything that a model needs to be kept running by a team."""

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from varjepa import __version__
from varjepa.config.uris import DATABASES, IN_FILES, LAKES, OBJECTS, is_local, scheme_of
from varjepa.errors import ConfigError
from varjepa.tasks.setup.initialise import Started, initialise, require_label
from varjepa.tasks.sources.address import expanded, require_place
from varjepa.tasks.steps.files import write_text
from varjepa.visible import visible

FILES = {
    "README.md": "README.md",
    "schedule.sh": "schedule.sh",
    "Dockerfile": "Dockerfile",
    "dockerignore": ".dockerignore",
    "gitignore": ".gitignore",
    "github.yml": ".github/workflows/model.yml",
    "gitlab.yml": ".gitlab-ci.yml",
}
"""Templates -> files of the project."""

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
"""Names that need no quotes anywhere."""

FEW_ROWS = 2000
"""Rows that CI trains on, if the table has more."""


def start_project(
    data: str,
    folder: Path,
    *,
    label: str | None,
    force: bool,
    reading: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
) -> Started:
    """Profiles a table, and writes a config, a contract and the files around them into a folder.

    Args:
        data: see `initialise`.
        folder: of the project; its name is that of the registered model.
        label: the column to predict.
        force: overwrite existing files.
        reading: see `initialise`.
        overrides: see `initialise`.

    Raises:
        ConfigError: a file is there already, or the folder's name would need quotes in scripts.
        DataError: see `initialise`.
    """
    name = folder.resolve().name
    if not NAME.fullmatch(name):
        raise ConfigError(
            f'"{visible(name)}" cannot name a project.',
            expected="Expected lower-case letters, digits, - and _: the name stands in scripts, images and URIs.",
        )
    require_label(require_place(data, reading or {}), label)
    taken = [place for place in FILES.values() if (folder / place).exists()]
    if taken and not force:
        raise ConfigError(
            f"{folder} has {', '.join(taken)} already.", fix="Choose another folder, or pass --force to overwrite."
        )
    folder.mkdir(parents=True, exist_ok=True)
    started = initialise(
        data, label=label, out=folder / f"{name}.yaml", force=force, reading=reading, overrides=overrides
    )
    few = f"--set data.rows={FEW_ROWS}" if started.rows > FEW_ROWS and is_local(data) else ""
    values = {"name": started.config.stem, "version": __version__, "few": few, "package": package_for(data)}
    for template, place in FILES.items():
        text = files("varjepa.tasks.setup").joinpath("scaffold", template).read_text(encoding="utf-8")
        filled = Template(text).substitute(values)
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        write_text(folder / place, "\n".join(line.rstrip() for line in filled.splitlines()) + "\n")
    return started


def package_for(data: str) -> str:
    """The package, with the extra that reads the table, for pip.

    Examples:
        >>> package_for("s3://bucket/people.csv").partition("==")[0], package_for("people.csv").partition("==")[0]
        ('varjepa[s3]', 'varjepa')
    """
    scheme = scheme_of(expanded(data))
    servers = [name for name in DATABASES if name not in IN_FILES]
    extras = dict.fromkeys(OBJECTS, "s3") | {lake: lake for lake in LAKES} | dict.fromkeys(servers, "sql")
    return f"varjepa{f'[{extras[scheme]}]' if scheme in extras else ''}=={__version__}"
