"""The generator is trained in a process of its own while this one fits and calibrates predictions.

Neither needs the other, and each keeps about one core busy: Python runs one thread of a process at a time, and steps of
small networks are mostly Python.
"""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from threading import Thread
from typing import IO

from pydantic import TypeAdapter

from varjepa.config import RetrainConfig
from varjepa.machine import cores
from varjepa.tasks.processes.bound import end_all, start_bound
from varjepa.tasks.retrain.generate import generate, generator_folder
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.retrain.pretrain import Pretrained
from varjepa.tasks.steps.files import write_text
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.reuse import DONE, ThisMachine, fresh, mark_made, sharing
from varjepa.training.device import resolve_device

LEAST_DRAWN = 1_500_000
"""Cells that a generator draws in its training, at least: with fewer the process, whose libraries take some seconds to
load, would not be ready much sooner."""

MOST_HELD = 50_000_000
"""Training cells that both processes hold in memory, at most: half a gigabyte each."""

SECONDS_TO_END = 2.0
"""Time for a checkpoint when the training is ended early."""

JOB = "beside.json"
"""File of the input, in the folder of the step."""


@contextmanager
def generator_beside(prepared: Prepared, pretrained: Pretrained, config: RetrainConfig) -> Iterator[Callable[[], None]]:
    """Trains the generator during the block, where a core is free for it; otherwise `generate` does so later.

    The process leaves the result, or a checkpoint, where `generate` looks for it. It ends with the block.

    Yields:
        Waits until it has ended; at once where there is none.
    """
    if not worth_a_process(prepared, config) or (generator_folder(pretrained, config) / DONE).is_file():
        yield lambda: None
        return
    with _started(prepared, pretrained, config) as process:
        # In the context of the flow, so that Prefect takes these lines for its own.
        told = Thread(target=copy_context().run, args=(_tell, process.stderr), name="generator", daemon=True)
        told.start()

        def wait() -> None:
            if process.wait() == 0:
                mark_made(generator_folder(pretrained, config))
            told.join()

        try:
            yield wait
        finally:
            if process.poll() is None:
                process.terminate()  # it writes a checkpoint
                try:
                    process.wait(SECONDS_TO_END)
                except subprocess.TimeoutExpired:
                    end_all(process.pid)
            told.join()  # before its pipe is closed


def worth_a_process(prepared: Prepared, config: RetrainConfig) -> bool:
    """Whether there is a core for the generator, memory, and enough to do."""
    rows, section = prepared.parts.get("train", 0), config.generator
    drawn = section.steps(max(rows, 1)) * section.batch(max(rows, 1)) * prepared.features if section.n_layers else 0
    return (
        drawn >= LEAST_DRAWN
        and rows * prepared.features <= MOST_HELD
        and cores() > 1
        and resolve_device(config.training.device).type == "cpu"
        and isinstance(sharing.get(), ThisMachine)  # machines take turns at a step, of which a process knows nothing
    )


def _started(prepared: Prepared, pretrained: Pretrained, config: RetrainConfig) -> "subprocess.Popen[str]":
    folder = generator_folder(pretrained, config)
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "prepared": TypeAdapter(Prepared).dump_python(prepared, mode="json"),
        "pretrained": TypeAdapter(Pretrained).dump_python(pretrained, mode="json"),
        "config": config.model_dump(mode="json"),
        "fresh": fresh.get(),
    }
    write_text(folder / JOB, json.dumps(content))
    log.info("the generator is trained by another process, beside the next steps")
    command = [sys.executable, "-m", __name__, str(folder / JOB)]
    threads = str(max(1, cores() // 2))
    return start_bound(command, env=os.environ | {"OMP_NUM_THREADS": threads}, stderr=subprocess.PIPE, text=True)


def _tell(lines: IO[str]) -> None:
    """Logs what the process says: lines of its log begin with their level."""
    levels = logging.getLevelNamesMapping()
    for line in lines:
        level, _, message = line.rstrip("\n").partition(" ")
        if level in levels:
            log.log(levels[level], "%s", message)
        else:
            log.info("%s", line.rstrip("\n"))


def main(path: Path) -> None:
    """Trains the generator of a job, whose file is removed once it is read."""
    to_the_flow = logging.StreamHandler(sys.stderr)  # and not to Prefect, which has set up this logger
    to_the_flow.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    log.handlers, log.propagate = [to_the_flow], False
    log.setLevel(logging.INFO)
    content = json.loads(path.read_text(encoding="utf-8"))
    path.unlink()
    fresh.set(tuple(content["fresh"]))
    prepared = TypeAdapter(Prepared).validate_python(content["prepared"])
    pretrained = TypeAdapter(Pretrained).validate_python(content["pretrained"])
    try:
        generate.plainly(prepared, pretrained, RetrainConfig.model_validate(content["config"]))
    except Exception as error:  # noqa: BLE001 (the step itself says what is wrong)
        log.warning("the generator could not be trained beside other steps (%s); its own step does so", error)
        sys.exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
