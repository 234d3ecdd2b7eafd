"""Turns every exception of a command into a message, an exit code and, for bugs, a file with the traceback."""

import errno
import json
import logging
import os
import sys
import sysconfig
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from varjepa.errors import VarjepaError
from varjepa.redaction import redacted
from varjepa.tasks.processes.signals import interruptions_restored
from varjepa.tasks.steps.files import full_disk_in_words
from varjepa.tasks.steps.tracebacks import store_traceback
from varjepa.visible import visible

PLACES = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG,
          errno.ELOOP, errno.EEXIST, errno.ENOTEMPTY, errno.EINVAL, errno.EXDEV, errno.ETXTBSY}  # fmt: skip
"""Errors of a path that another path, or other permissions, would avoid."""

REMEDIES = {
    errno.EMFILE: "Raise the limit of open files (`ulimit -n`).",
    errno.ENOMEM: "Close other programs, or set a smaller training.batch_size or --batch-size.",
}


@dataclass(frozen=True)
class Failure:
    """What the command line says of an exception.

    Attributes:
        message: what happened and what to do, for people.
        exit_code: of the command.
        bug: whether the message is not enough to act on, so that the traceback is stored.
    """

    message: str
    exit_code: int
    bug: bool = False


INTERRUPTED = Failure("Interrupted. Run the same command again to resume.", 1)


def guarded(command: Callable[[], Any], arguments: list[str]) -> int:
    """Calls a command; turns its exceptions into a message on stderr and an exit code.

    With `--json`, the last line of stdout is one JSON object whatever happens.

    Args:
        command: returns an exit code, or anything else for 0.
        arguments: of the command line.
    """
    try:
        with interruptions_restored(), full_disk_in_words():
            status = command()
            sys.stdout.flush()  # a full disk or a closed pipe shows here
    except SystemExit:
        raise
    except click.exceptions.NoArgsIsHelpError as error:  # `varjepa` alone: its message is the help, in many lines
        error.show()
        return error.exit_code
    except BaseException as error:  # noqa: BLE001 (nothing may pass the outermost place; Rust panics are no `Exception`)
        return _reported(error, arguments)
    return status if isinstance(status, int) else 0


def failure_of(error: BaseException) -> Failure:
    """What to say of an exception.

    Examples:
        >>> failure_of(FileNotFoundError(2, "No such file or directory", "gone/out.parquet")).exit_code
        2
        >>> failure_of(ZeroDivisionError("division by zero")).bug
        True
    """
    match error:
        case VarjepaError():
            return Failure(str(error), error.exit_code)
        case click.ClickException():
            usage = _usage(error)
            message = f"{error.format_message().rstrip('.')}. {usage}" if usage else error.format_message()
            return Failure(message, error.exit_code)
        case KeyboardInterrupt() | click.Abort():
            return INTERRUPTED
        case MemoryError():
            return Failure(f"There is not enough memory. {REMEDIES[errno.ENOMEM]}", 1)
        case OSError() if error.errno is not None and (failure := _of_a_place(error)):
            return failure
        case _:
            detail = " ".join(str(error).split())
            return Failure(
                f"Internal error: {type(error).__name__}{': ' if detail else ''}{detail[:300]}.", 1, bug=True
            )


def _usage(error: click.ClickException) -> str:
    """How a command is called, where an argument is missing or one too many: no other error is about the whole line."""
    whole = isinstance(error, click.MissingParameter) or type(error) is click.UsageError
    context = error.ctx if isinstance(error, click.UsageError) and whole else None
    if context is None or isinstance(context.command, click.Group):
        return ""
    return f"{' '.join(context.get_usage().split())}. `{context.command_path} --help` says more."


def _of_a_place(error: OSError) -> Failure | None:
    """Says which path, and why; None for a file of the installation, and for what no user can mend."""
    path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes | os.PathLike) else ""
    where, remedy = f" {path}" if path else "", REMEDIES.get(error.errno or 0)
    if remedy:
        return Failure(f"{error.strerror}:{where or ' the system says no more'}. {remedy}", 1)
    installed = [Path(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib")]
    if error.errno not in PLACES or not path or any(Path(path).is_relative_to(folder) for folder in installed):
        return None
    return Failure(f"Cannot use the path {path}: {error.strerror}. Check that it exists, its permissions, and its "
                   "spelling.", 2)  # fmt: skip


def _reported(error: BaseException, arguments: list[str]) -> int:
    if isinstance(error, BrokenPipeError):  # the reader of our output has seen enough
        _mute(sys.stdout)
        return 1
    failure = failure_of(error)
    message = visible(redacted(failure.message))
    if failure.bug and (file := store_traceback(error, arguments)):
        message += f" The traceback is in {file}; please send it with your report."
    if "--verbose" in arguments:
        logging.getLogger("varjepa").error("details", exc_info=error)
    with suppress(OSError):
        click.echo(f"varjepa: {message}", err=True)
    try:
        click.echo(as_answer(replace(failure, message=message), arguments), nl=False)
        sys.stdout.flush()
    except OSError:
        _mute(sys.stdout)
    return failure.exit_code


def as_answer(failure: Failure, arguments: list[str]) -> str:
    """What `--json` prints of a failure, as a line; an empty text without `--json`."""
    return (
        json.dumps({"error": failure.message, "exit_code": failure.exit_code}) + "\n" if "--json" in arguments else ""
    )


def _mute(stream: Any) -> None:
    """Sends what is still buffered nowhere: otherwise the interpreter fails on it again at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
