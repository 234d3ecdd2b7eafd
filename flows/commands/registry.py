"""Commands about what is registered."""

import click

from flows.commands import as_json, finish, tracking_option


@click.command()
@tracking_option
@as_json
def models(tracking_uri: str | None, *, json_out: bool) -> None:
    """List what is registered."""
    from flows.show import show_models
    from tasks.registry import registered_models

    found = registered_models(tracking_uri)
    show_models(found)
    finish({"models": found}, json_out=json_out)
