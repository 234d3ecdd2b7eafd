"""Checks the installation and the settings."""

import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

from varjepa.amounts import counted
from varjepa.config.signing import SigningSection
from varjepa.errors import VarjepaError
from varjepa.redaction import redacted_uri
from varjepa.tasks.joint_training.call import CALLS
from varjepa.tasks.processes.accounts import TRACKING
from varjepa.tasks.processes.health import require_answer
from varjepa.tasks.registry.search import every_model
from varjepa.tasks.signing.keys import SIGNING_KEY, TRUSTED_KEYS, fingerprint, signing_key, trusted
from varjepa.tasks.tracking.store import client_for
from varjepa.tasks.tracking.uris import database_file, store
from varjepa.tasks.work_store.lease import LEASES
from varjepa.tasks.work_store.opened import WORK_URI, chosen_work_uri, opened_place
from varjepa.tasks.work_store.partial import FOLDER as PARTIAL
from varjepa.tasks.work_store.place import CLOCK

GIBIBYTE = 2**30
EXTRAS = {
    "dask": ("prefect_dask",), "postgres": ("psycopg2",), "s3": ("obstore",), "delta": ("deltalake",),
    "iceberg": ("pyiceberg",), "lancedb": ("lancedb",), "lineage": ("openlineage",),
    "sql": ("adbc_driver_postgresql", "pymysql"), "signing": ("model_signing", "OpenSSL"),
    "field": ("lightgbm", "pytabkit", "skrub", "tabm"),
}  # fmt: skip
"""Extra of the package -> modules that it brings."""


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: what was checked.
        ok: whether it passed.
        found: what was found.
        fix: what to do; empty if it passed.
    """

    name: str
    ok: bool
    found: str
    fix: str = ""

    def as_dict(self) -> dict[str, str | bool]:
        """The check as plain data for `--json`."""
        return asdict(self)


def examine() -> list[Check]:
    """Checks Python, packages, device, disk, keys, both stores and the Prefect server."""
    checks: tuple[Callable[[], Check], ...] = (
        _python, _packages, _extras, _device, _disk, _signing, _work_store, _tracking, _prefect,
    )  # fmt: skip
    return [check() for check in checks]


def _python() -> Check:
    return Check("Python", ok=True, found=f"{platform.python_version()} on {platform.platform(terse=True)}")


def _packages() -> Check:
    wrong = []
    for line in requires("varjepa") or []:
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is not installed")
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            wrong.append(f"{requirement.name} {installed}, expected {requirement.specifier}")
    if wrong:
        return Check("packages", ok=False, found="; ".join(wrong), fix="Install varjepa into a new environment.")
    return Check("packages", ok=True, found="all versions are supported")


def _extras() -> Check:
    """Which places and runners can be used; none of them has to be there."""
    installed = [extra for extra, modules in EXTRAS.items() if all(find_spec(module) for module in modules)]
    others = [extra for extra in EXTRAS if extra not in installed]
    found = f"installed: {', '.join(installed) or 'none'}"
    return Check("extras", ok=True, found=found + (f"; not installed: {', '.join(others)}" if others else ""))


def _device() -> Check:
    import torch

    if torch.cuda.is_available():
        return Check("device", ok=True, found=f"GPU {torch.cuda.get_device_name()}, torch {torch.__version__}")
    return Check(
        "device", ok=True, found=f"CPU, {counted(torch.get_num_threads(), 'thread')}, torch {torch.__version__}"
    )


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free / GIBIBYTE
    writable = os.access(Path.cwd(), os.W_OK)
    space = f"{free:.0f} GiB free" + ("" if writable else ", not writable")
    usable = writable and free > 1
    fix = "" if usable else "Free some space, or use another folder."
    return Check("working folder", ok=usable, found=space, fix=fix)


def _signing() -> Check:
    """Whether the keys that the environment names can be used; a config may name others."""
    try:
        trust, key = trusted(), signing_key(SigningSection())
    except VarjepaError as error:
        return Check("signatures", ok=False, found=str(error), fix=f"Check {TRUSTED_KEYS} and {SIGNING_KEY}.")
    signs = "no key to sign with" if key is None else f"signs with {key.path} ({fingerprint(key.public)[:12]}...)"
    if trust is None:
        return Check("signatures", ok=True, found=f"not checked, none in {TRUSTED_KEYS}; {signs}")
    return Check("signatures", ok=True, found=f"checked by {len(trust.keys)} of {trust.source}; {signs}")


def _work_store() -> Check:
    """Whether machines can share results as the environment says; a config may name another place."""
    try:
        uri = chosen_work_uri(None)
        if uri is None:
            return Check("work store", ok=True, found=f"none in {WORK_URI}; results of steps stay on this machine")
        results = len(set(opened_place(uri).folders()) - {LEASES, PARTIAL, CLOCK, CALLS})
    except VarjepaError as error:
        return Check("work store", ok=False, found=str(error), fix=f"Check {WORK_URI}.")
    return Check("work store", ok=True, found=f"{redacted_uri(uri)}, {results} shared results")


def _tracking() -> Check:
    try:
        uri = store(None)
        database = database_file(uri)
        if database is not None and not database.exists() and _may_come(database.parent):
            return Check("tracking store", ok=True, found=f"{redacted_uri(uri)}: none yet, the first run creates it")
        models = every_model(client_for(uri))
    except VarjepaError as error:
        return Check("tracking store", ok=False, found=str(error), fix="Check MLFLOW_TRACKING_URI.")
    return Check("tracking store", ok=True, found=f"{redacted_uri(uri)}, {len(models)} registered models")


def _may_come(folder: Path) -> bool:
    """Whether the first run can create its store in this folder, the default one of which it creates as well."""
    place = folder if folder.is_dir() or TRACKING in os.environ else Path.cwd()
    return place.is_dir() and os.access(place, os.W_OK)


def _prefect() -> Check:
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if not url:
        return Check("Prefect server", ok=True, found="none configured; every flow starts a temporary one (about 10 s)")
    try:
        require_answer(url, seconds=5)
    except (OSError, ValueError) as error:
        return Check(
            "Prefect server",
            ok=False,
            found=f"{redacted_uri(url)} does not answer: {error}",
            fix="Start it, or unset PREFECT_API_URL.",
        )
    return Check("Prefect server", ok=True, found=redacted_uri(url))
