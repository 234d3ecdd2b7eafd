"""The command line `varjepa`: composes flows and steps. Messages go to stderr, JSON to the last line of stdout."""

import atexit
import gc
import json
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

import click

from flows.commands import drift, infer, outcomes, registry, schedule, setup, similar, train, tune
from tasks.processes.signals import interrupt_on_sigterm
from varjepa import __version__
from varjepa.errors import VarjepaError, listed, nearest

QUIET = {
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",  # the default of 20 is too short on a busy machine
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",  # otherwise a temporary server ends with tracebacks
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # our own log has the same information in fewer words
    "PREFECT_LOGGING_EXTRA_LOGGERS": "varjepa",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # commands log outside of flows, too
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GOMP_SPINCOUNT": "1000",  # long spinning slows threads down beside another busy process
}


class Commands(click.Group):
    """A group that suggests the nearest command for a mistyped one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            hint = nearest(name, self.commands) or f"Commands: {listed(self.commands)}."
            raise click.UsageError(f'No such command "{name}". {hint}')
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option("--verbose", is_flag=True, help="Show the logs of Prefect and MLflow, and tracebacks of errors.")
def cli(*, verbose: bool) -> None:
    """Learns embeddings of table rows without labels, and estimates how uncertain each one is.

    \b
    Start with:  varjepa init DATA --label COLUMN
    then:        varjepa retrain CONFIG

    Exit codes: 0 success, 2 invalid input, 3 the data broke its contract, 1 any other error.
    """  # noqa: D301 (click needs the control character)
    if not verbose:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
    _log_to_stderr()


for _module in (train, tune, schedule, infer, similar, drift, outcomes, registry, setup):
    for _command in vars(_module).values():
        if isinstance(_command, click.Command):
            cli.add_command(_command)


def _log_to_stderr() -> None:
    """One short line per message on stderr."""
    logger = logging.getLogger("varjepa")
    for handler in logger.handlers:
        # Ours, from an earlier command of this process, whose stderr was another stream.
        if type(handler) is logging.StreamHandler:
            handler.setStream(sys.stderr)
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and exits with its code."""
    interrupt_on_sigterm()
    atexit.register(gc.freeze)  # otherwise garbage collection of all modules takes seconds at exit
    arguments = sys.argv[1:] if arguments is None else arguments
    sys.exit(guarded(lambda: cli.main(arguments, standalone_mode=False), arguments))


def guarded(command: Callable[[], Any], arguments: list[str]) -> int:
    """Calls a command; turns its exceptions into a message and an exit code."""
    try:
        status = command()
    except (VarjepaError, click.ClickException) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        code = error.exit_code
        if "--verbose" in arguments:
            logging.getLogger("varjepa").exception("details")
    except (KeyboardInterrupt, click.Abort):
        message, code = "Interrupted. Run the same command again to resume.", 1
    else:
        return status if isinstance(status, int) else 0
    click.echo(f"varjepa: {message}", err=True)
    if "--json" in arguments:
        click.echo(json.dumps({"error": message, "exit_code": code}))
    return code


if __name__ == "__main__":
    main()
