"""The code that a step runs. Results are reused only if this code has not changed."""

import re
import subprocess
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+import\s+(\([^)]*\)|[^\n]+)|import\s+([\w.]+))", re.MULTILINE)
"""An import at any depth. Not by `ast`, which CPython 3.11 cannot run in two threads at once."""

TEMPLATES = Path(__file__).parents[1] / "reports" / "templates"
TEMPLATE = re.compile(r"\"([\w-]+\.html)\"")

OURS = "varjepa"

LIBRARIES = {
    "duckdb": "duckdb", "great_expectations": "great-expectations", "lightgbm": "lightgbm", "numpy": "numpy",
    "polars": "polars", "pytabkit": "pytabkit", "rtdl_revisiting_models": "rtdl_revisiting_models", "scipy": "scipy",
    "sklearn": "scikit-learn", "skrub": "skrub", "tabm": "tabm", "torch": "torch", "xgboost": "xgboost-cpu",
}  # fmt: skip
"""Libraries whose numbers may change with their version: name in code -> name of the distribution."""

LEFT_OUT = ("varjepa.config", "varjepa.flows")
"""Settings are among a step's inputs already, including defaults; flows only say in which order steps run."""


@cache
def code_files(module: str) -> tuple[Path, ...]:
    """Source files of one of our modules and of all our modules that it imports, also inside functions; sorted.

    Templates of pages count as sources of the modules that name them.

    Raises:
        ValueError: there is no such module. The code of a step must not drop out of its digest silently.

    Examples:
        >>> [file.name for file in code_files("varjepa.visible")]
        ['visible.py']
    """
    if _file(module) is None:
        raise ValueError(f'"{module}" is not a module of {OURS}')
    # Every module once: imports may form circles.
    files: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file = _file(name)
        if file is not None and name not in files:
            files[name] = file
            waiting += _imports(file)
    return tuple(sorted({*files.values(), *_templates(files.values())}))


@cache
def source(file: Path) -> str:
    """The text of a source file, read once: most files belong to the code of several steps."""
    return file.read_text(encoding="utf-8")


def _templates(files: Iterable[Path]) -> set[Path]:
    """Templates that these files name, and those that they extend or import themselves."""
    templates: set[Path] = set()
    waiting = list(files)
    while waiting:
        for name in TEMPLATE.findall(source(waiting.pop())):
            template = TEMPLATES / name
            if template.is_file() and template not in templates:
                templates.add(template)
                waiting.append(template)
    return templates


def library_versions(module: str) -> dict[str, str]:
    """Versions of those `LIBRARIES` that one of our modules imports, directly or through our other modules.

    Examples:
        >>> list(library_versions("varjepa.data.fit.normal_scores"))
        ['numpy', 'scipy']
    """
    names = {name.split(".", maxsplit=1)[0] for file in code_files(module) if file.suffix == ".py"
             for name in _imports(file)}  # fmt: skip
    return {distribution: _version(distribution) for name, distribution in LIBRARIES.items() if name in names}


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # installed as another distribution, or optional for the step
        return ""


def _file(module: str) -> Path | None:
    """The source of a module; None for names that are not our modules, and for the settings."""
    return None if any(_within(module, package) for package in LEFT_OUT) else _modules().get(module)


@cache
def _modules() -> dict[str, Path]:
    """Our modules and their sources. Not by `find_spec`, which imports every package and module on the way there."""
    root = Path(__file__).parents[2]
    return {".".join((OURS, *_name(file.relative_to(root)))): file for file in root.rglob("*.py")}


def _name(file: Path) -> tuple[str, ...]:
    return file.parent.parts if file.name == "__init__.py" else file.with_suffix("").parts


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@cache
def _imports(file: Path) -> tuple[str, ...]:
    """Names of modules that a file may import; `from a import b` may mean a.b."""
    imports: list[str] = []
    for module, names, plain in IMPORT.findall(source(file)):
        imports.append(module or plain)
        imports += (f"{module}.{name}" for name in re.findall(r"\w+", names))
    return tuple(imports)


@cache
def git_commit() -> str | None:
    """Commit of the working folder, marked if files differ from it; None outside of git."""
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)  # noqa: S607
        changed = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True, check=True)  # noqa: S607
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit.stdout.strip() + ("+changes" if changed.stdout.strip() else "")
