"""What all steps share: folders named by their inputs, results that are reused, retries that can help."""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock
from pydantic import TypeAdapter

from tasks.code import code_files
from varjepa.errors import VarjepaError

log = logging.getLogger("varjepa")

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
    """Stands for the code that a step in `module` runs."""
    root = Path(__file__).parents[1]
    return digest([(str(file.relative_to(root)), file.read_text(encoding="utf-8")) for file in code_files(module)])


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


@contextmanager
def one_thread_each() -> Iterator[None]:
    """For what is computed side by side; numbers then do not depend on how many cores there are, either."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def write_text(path: Path, text: str) -> None:
    """Writes a file in one move."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def may_help(_task: Any, _run: Any, state: Any) -> bool:
    """Prefect retry condition: the user's input does not get better by asking again; a network or a lock may."""
    try:
        state.result()
    except VarjepaError:
        return False
    except Exception:  # noqa: BLE001 (the condition looks at whatever the task raised)
        return True
    return False
