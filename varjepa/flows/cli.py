"""The command line `varjepa`: composes flows and steps. Messages go to stderr, JSON to the last line of stdout."""

import atexit
import gc
import logging
import os
import re
import sys

import click

from varjepa import __version__
from varjepa.errors import listed, nearest
from varjepa.flows.commands import (
    clean,
    completion,
    drift,
    infer,
    join,
    outcomes,
    registry,
    retrain,
    schedule,
    serve,
    setup,
    similar,
    train,
    tune,
)
from varjepa.flows.failures import INTERRUPTED, as_answer, guarded
from varjepa.memory import watched_memory
from varjepa.tasks.processes.accounts import adopt_accounts
from varjepa.tasks.processes.signals import end_on_signals

QUIET = {
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",  # the default of 20 is too short on a busy machine
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",  # otherwise a temporary server ends with tracebacks
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # our own log has the same information in fewer words
    "PREFECT_LOGGING_EXTRA_LOGGERS": "varjepa",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # commands log outside of flows, too
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # its addresses open the view for GenAI
}


VERBOSE = "--verbose"

SECTIONS = {
    "To begin": ("demo", "init", "retrain", "tune"),
    "To use a model": ("score", "impute", "sample", "similar", "duplicates", "outliers"),
    "To check it later": ("evaluate", "drift", "watch"),
    "To keep it running": ("schedule", "serve", "join", "clean"),
    "Versions": ("models", "promote", "rollback", "approve", "reject", "verify"),
    "Set-up": ("ui", "servers", "doctor", "schema", "completion"),
    "Studies": ("benchmark", "simulate"),
}
"""The commands as `--help` lists them, the likeliest first."""


class Commands(click.Group):
    """A group that lists commands by purpose, takes `--verbose` anywhere, and suggests the nearest command."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Writes each section with the first sentence of each command, whole however narrow the terminal."""
        width = max(map(len, self.commands))
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), _sentence(self.commands[name])) for name in names])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Moves `--verbose` to the front, where the group reads it; after `--` it is a value."""
        end = args.index("--") if "--" in args else len(args)
        if VERBOSE in args[:end]:
            args = [VERBOSE, *(word for word in args[:end] if word != VERBOSE), *args[end:]]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            hint = nearest(name, self.commands) or f"Commands: {listed(self.commands)}."
            raise click.UsageError(f'No such command "{name}". {hint}')
        return super().resolve_command(ctx, args)


def _sentence(command: click.Command) -> str:
    """The first sentence of a command's help, on one line."""
    return re.split(r"(?<=\.)\s", command.help or "", maxsplit=1)[0].replace("\n", " ").strip()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option(VERBOSE, is_flag=True, help="Show the logs of Prefect and MLflow, and tracebacks of errors; anywhere.")
def cli(*, verbose: bool) -> None:
    """Learns embeddings of table rows without labels, and estimates how uncertain each one is.

    \b
    To try it:   varjepa demo
    Own table:   varjepa init DATA --label COLUMN
    then:        varjepa retrain CONFIG
    new rows:    varjepa score models:/NAME@champion NEW.csv OUT.csv

    Exit codes: 0 success, 2 invalid input, 3 the data broke its contract, 1 any other error.
    """  # noqa: D301 (click needs the control character)
    if not verbose:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
    adopt_accounts()
    _log_to_stderr()


for _module in (
    train, retrain, tune, schedule, join, serve, infer, similar, drift, outcomes, registry, clean, setup, completion,
):  # fmt: skip
    for _name, _command in vars(_module).items():
        if isinstance(_command, click.Command) and not _name.startswith("_"):
            cli.add_command(_command)


def _log_to_stderr() -> None:
    """One short line per message on stderr."""
    logger = logging.getLogger("varjepa")
    for handler in logger.handlers:
        # Ours, from an earlier command of this process, whose stderr was another stream. That one may be closed by now:
        # `setStream` would flush it, and fail.
        if type(handler) is logging.StreamHandler:
            handler.stream = sys.stderr
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and exits with its code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    answered = end_on_signals(f"varjepa: {INTERRUPTED.message}\n", as_answer(INTERRUPTED, arguments))
    atexit.register(gc.freeze)  # otherwise garbage collection of all modules takes seconds at exit
    with watched_memory():
        code = guarded(lambda: cli.main(arguments, standalone_mode=False), arguments)
    answered()
    sys.exit(code)


if __name__ == "__main__":
    main()
