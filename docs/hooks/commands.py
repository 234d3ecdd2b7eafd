"""The help texts of all commands, from the command line itself."""

from collections.abc import Iterator

import click

from varjepa.flows.cli import cli

WIDTH = 80
"""Characters of a line on the page."""


def commands_page() -> str:
    """Markdown: a section for each command."""
    return "\n".join(_sections(click.Context(cli, info_name="varjepa"), cli))


def _sections(above: click.Context, group: click.Group) -> Iterator[str]:
    """The commands of a group, those of groups in it included."""
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        if command is None or command.hidden:
            continue
        context = click.Context(command, above, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
        title = context.command_path.removeprefix("varjepa ")
        yield f"\n### `{title}`\n\n```text\n{command.get_help(context)}\n```"
        if isinstance(command, click.Group):
            yield from _sections(context, command)
