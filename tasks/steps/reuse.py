"""Results of steps are kept in folders that are named by what they depend on, and reused."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock
from pydantic import TypeAdapter

from tasks.steps.code import code_files, library_versions
from tasks.steps.files import write_text
from tasks.steps.log import log
from varjepa.config import result_settings
from varjepa.config.base import Section

WORK = Path("mlruns/work")
"""Home of intermediate results; may be deleted at any time when nothing runs."""

DONE = "result.json"

_T = TypeVar("_T")
_fresh: list[str] = []
"""Changes every folder's name where results of earlier processes must not be reused."""


def digest(*parts: Any) -> str:
    """Twelve hexadecimal digits that stand for plain data."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@cache
def code_digest(module: str) -> str:
    """Stands for the code that a step in `module` runs, ours and the libraries that numbers come from."""
    root = Path(__file__).parents[2]
    ours = [(str(file.relative_to(root)), file.read_text(encoding="utf-8")) for file in code_files(module)]
    return digest(ours, library_versions(module))


@dataclass(frozen=True)
class Step:
    """A step of a flow, and all that its result depends on beside the results of earlier steps.

    Attributes:
        name: of the step, for people.
        module: whose code it runs.
        settings: dotted keys of the configuration that it reads; none means that it reads none.
        without: dotted keys among those that it does not read.
    """

    name: str
    module: str
    settings: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def folder(self, config: Section | None, *inputs: Any) -> Path:
        """The folder of this step's result.

        Args:
            config: of the job; None for a step that reads no settings.
            inputs: plain data that the result depends on beside the settings: results of earlier steps, as a rule.
        """
        return step_folder(self.name, {} if config is None else self.read(config), *inputs, code=self.module)

    def read(self, config: Section) -> dict[str, Any]:
        """The settings that the step reads, by dotted key; those that change no result are left out."""
        return result_settings(config, *self.settings, without=self.without) if self.settings else {}


def step_folder(step: str, *inputs: Any, code: str) -> Path:
    """The folder of one step for these inputs; the same inputs and code give the same folder.

    Args:
        step: name of the step, for people.
        inputs: plain data that the result depends on.
        code: module of the step.
    """
    return WORK / f"{step}-{digest(code_digest(code), *_fresh, *inputs)}"


def reuse(folder: Path, result: type[_T], make: Callable[[], _T]) -> _T:
    """Returns what `make` once returned for this folder, or calls it.

    The result is written last and in one move, so a step that was interrupted is made again; what it left in the folder
    (a checkpoint, say) is there for it. Two processes never make the same step at once.

    Args:
        folder: of the step, from `step_folder`.
        result: type of the result, a dataclass of plain data and paths.
        make: computes the result and writes its files into the folder.
    """
    adapter = TypeAdapter(result)
    done = folder / DONE
    folder.mkdir(parents=True, exist_ok=True)
    step = folder.name.rsplit("-", 1)[0]
    with FileLock(folder.with_suffix(".lock")):
        if done.is_file():
            log.info("%s: nothing has changed, reusing %s", step, folder)
            return adapter.validate_json(done.read_bytes())
        log.info("%s starts", step)  # of a large table a step may take minutes before it has more to say
        value = make()
        write_text(done, adapter.dump_json(value).decode())
        return value


def start_fresh() -> None:
    """Makes every step of this process anew, whatever earlier ones left."""
    _fresh.append(digest(time.time_ns()))
