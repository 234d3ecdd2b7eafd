"""How a report was made: enough to make it again, and to know what its times mean."""

import platform
from datetime import UTC, datetime
from pathlib import Path

from varjepa import __version__
from varjepa.amounts import counted
from varjepa.machine import cores
from varjepa.tasks.steps.code import git_commit


def provenance() -> dict[str, str]:
    """Date, commit of the working folder, machine and versions, for people."""
    import torch

    return {
        "date": datetime.now(UTC).strftime("%d %B %Y"),
        "commit": git_commit() or "not under git",
        "machine": f"{_processor()}, {counted(cores(), 'core')}" + (
            f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
        ),
        "software": f"varjepa {__version__}, CPython {platform.python_version()}, torch {torch.__version__}",
    }  # fmt: skip


def _processor() -> str:
    """The processor's name; Linux tells it in a file only."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
