"""Commands about registered models: listing them, and changing the champion by hand."""

import click

from flows.commands import as_json, finish, tracking_option


@click.command()
@click.argument("name", required=False)
@tracking_option
@as_json
def models(name: str | None, tracking_uri: str | None, *, json_out: bool) -> None:
    """List registered versions, the decisions of the gate, and the history of champions."""
    from flows.show.registry import show_history, show_models
    from tasks.registry.listing import champions, registered_models

    versions, history = registered_models(tracking_uri, name), champions(tracking_uri, name)
    show_models(versions)
    show_history(history)
    finish({"models": versions, "history": history}, json_out=json_out)


@click.command()
@click.argument("model")
@click.option("--dry-run", is_flag=True, help="Only show what would be done, and the decision of the gate.")
@click.option("--force", is_flag=True, help="Promote a version that the gate refused.")
@tracking_option
@as_json
def promote(model: str, tracking_uri: str | None, *, dry_run: bool, force: bool, json_out: bool) -> None:
    """Make MODEL the champion of its name.

    MODEL is models:/NAME/VERSION or models:/NAME@challenger. A version that the gate refused needs --force.
    """
    from flows.show.registry import show_move
    from tasks.registry.promote import promote as run

    result = run(model, tracking_uri, force=force, dry_run=dry_run)
    show_move(result)
    finish(result, json_out=json_out)


@click.command()
@click.argument("name")
@click.option(
    "--steps", type=click.IntRange(min=1), default=1, show_default=True, help="How many champions to go back."
)
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@tracking_option
@as_json
def rollback(name: str, tracking_uri: str | None, *, steps: int, dry_run: bool, json_out: bool) -> None:
    """Make the previous champion of NAME the champion again.

    Repeated rollbacks go further back. A version that was rolled back can become champion again only by promote.
    """
    from flows.show.registry import show_move
    from tasks.registry.promote import rollback as run

    result = run(name, tracking_uri, steps=steps, dry_run=dry_run)
    show_move(result)
    finish(result, json_out=json_out)
