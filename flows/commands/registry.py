"""Commands about what is registered: listing it, and moving the champion by hand."""

import click

from flows.commands import as_json, finish, tracking_option


@click.command()
@click.argument("name", required=False)
@tracking_option
@as_json
def models(name: str | None, tracking_uri: str | None, *, json_out: bool) -> None:
    """List what is registered, what the gate said, and who was champion when."""
    from flows.show.registry import show_history, show_models
    from tasks.registry.listing import champions, registered_models

    found, history = registered_models(tracking_uri, name), champions(tracking_uri, name)
    show_models(found)
    show_history(history)
    finish({"models": found, "history": history}, json_out=json_out)


@click.command()
@click.argument("model")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and what the gate said.")
@click.option("--force", is_flag=True, help="Promote a version that the gate refused.")
@tracking_option
@as_json
def promote(model: str, tracking_uri: str | None, *, dry_run: bool, force: bool, json_out: bool) -> None:
    """Make MODEL the champion of its name.

    MODEL is models:/NAME/VERSION or models:/NAME@challenger. A version that its gate refused needs --force.
    """
    from flows.show.registry import show_move
    from tasks.registry.promote import promote as run

    result = run(model, tracking_uri, force=force, dry_run=dry_run)
    show_move(result)
    finish(result, json_out=json_out)


@click.command()
@click.argument("name")
@click.option("--steps", type=click.IntRange(min=1), default=1, show_default=True, help="Champions to go back.")
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
@tracking_option
@as_json
def rollback(name: str, tracking_uri: str | None, *, steps: int, dry_run: bool, json_out: bool) -> None:
    """Make the champion before the champion of NAME again.

    One rollback after another goes further back. A version that was rolled back comes back by promote only.
    """
    from flows.show.registry import show_move
    from tasks.registry.promote import rollback as run

    result = run(name, tracking_uri, steps=steps, dry_run=dry_run)
    show_move(result)
    finish(result, json_out=json_out)
