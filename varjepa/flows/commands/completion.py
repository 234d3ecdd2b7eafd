"""Commands that make the shell complete the words of a command line."""

import os
from pathlib import PurePath

import click

from varjepa.errors import ConfigError
from varjepa.flows.commands import Command

SHELLS = ("bash", "zsh", "fish")

shell_argument = click.argument("shell", type=click.Choice(SHELLS), required=False)


@click.group()
def completion() -> None:
    """Complete commands and options with the Tab key, in bash, zsh and fish.

    Without SHELL, the shell that runs is meant (the variable SHELL).
    """


@completion.command("show", cls=Command, examples=("varjepa completion show bash",))
@shell_argument
def _show(shell: str | None) -> None:
    """Print the script that the shell reads."""
    click.echo(_script(_shell(shell)))


@completion.command("install", cls=Command, examples=("varjepa completion install", "varjepa completion install zsh"))
@shell_argument
def _install(shell: str | None) -> None:
    """Write the script, and let the shell read it when it starts. A second time changes nothing."""
    from varjepa.tasks.setup.completion import install

    name = _shell(shell)
    for path in install(name, _script(name)):
        click.echo(f"wrote {path}", err=True)
    click.echo(f"Start a new {name} to use it.", err=True)


def _shell(name: str | None) -> str:
    """The shell that is meant.

    Raises:
        ConfigError: none is named, and that of the environment is not known.
    """
    found = name or PurePath(os.environ.get("SHELL", "")).name
    if found not in SHELLS:
        raise ConfigError(
            f'The shell "{found}" is not known.' if found else "The variable SHELL is not set.",
            fix=f"Name one of: {', '.join(SHELLS)}.",
        )
    return found


def _script(shell: str) -> str:
    from click.shell_completion import get_completion_class

    completes = get_completion_class(shell)
    if completes is None:
        raise ConfigError(f"click completes no {shell}.")
    return completes(click.get_current_context().find_root().command, {}, "varjepa", "_VARJEPA_COMPLETE").source()
