"""A wheel of varjepa itself, from the installed package: registered models bring the code that reads them.

A requirement such as `varjepa==1.0` names a package that anybody could register. A wheel among the artifacts is what it
is. Equal code gives equal bytes, so that equal models stay equal.
"""

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import varjepa

EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of every file in the wheel; the earliest that zip files can hold."""

WHEEL = "Wheel-Version: 1.0\nGenerator: varjepa\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def write_wheel(folder: Path) -> Path:
    """Writes the wheel into a folder; returns its path."""
    path, info = folder / f"varjepa-{varjepa.__version__}-py3-none-any.whl", f"varjepa-{varjepa.__version__}.dist-info"
    files = {name: file.read_bytes() for name, file in sorted(_code())}
    installed = distribution("varjepa")
    # A checkout that lies on the path keeps the metadata under the name of a source distribution.
    metadata = installed.read_text("METADATA") or installed.read_text("PKG-INFO") or ""
    for name, text in (("METADATA", metadata), ("entry_points.txt", installed.read_text("entry_points.txt") or "")):
        files[f"{info}/{name}"] = text.encode()
    files[f"{info}/WHEEL"] = WHEEL.encode()
    record = "".join(f"{name},{_digest(content)},{len(content)}\n" for name, content in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            wheel.writestr(entry, content)
    return path


def requirement(wheel: Path) -> str:
    """The line of `requirements.txt` for a wheel among the artifacts of a registered model.

    A path, which both pip and uv read from the folder of the model. Its digest is part of the version's (see
    `varjepa.tasks.registry.verify`): as `--hash` it would ask for the digests of all other packages, too.
    """
    return f"./artifacts/{wheel.name}"


def _code() -> Iterator[tuple[str, Path]]:
    """Names in the wheel, and files of the package."""
    root = Path(varjepa.__file__).parent
    for file in root.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            yield f"{root.name}/{file.relative_to(root).as_posix()}", file


def _digest(content: bytes) -> str:
    """As RECORD writes it."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
