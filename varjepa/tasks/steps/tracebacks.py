"""Files with the tracebacks of bugs, which the command line names instead of printing them."""

import os
import platform
import tempfile
import time
import traceback
from pathlib import Path

from varjepa import __version__
from varjepa.redaction import redacted

ERRORS = Path("mlruns/errors")
"""Folder of the files with tracebacks; where there is no `mlruns`, they go to the temporary folder."""


def store_traceback(error: BaseException, arguments: list[str]) -> Path | None:
    """Writes the traceback to a file that only its owner can read.

    Returns:
        The file; None if none can be written.
    """
    lines = [f"varjepa {__version__}, Python {platform.python_version()}, {platform.platform()}",
             f"arguments: {arguments}", "", *traceback.format_exception(error)]  # fmt: skip
    name = f"varjepa-{time.strftime('%Y-%m-%dT%H-%M-%S')}-{os.getpid()}.log"
    for folder in (ERRORS, Path(tempfile.gettempdir())):
        try:
            if folder == ERRORS and folder.parent.is_dir():
                folder.mkdir(exist_ok=True)
            with open(folder / name, "x", opener=_private, encoding="utf-8", errors="backslashreplace") as file:
                file.write(redacted("\n".join(line.rstrip("\n") for line in lines)) + "\n")
        except OSError:
            continue
        return folder / name
    return None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
