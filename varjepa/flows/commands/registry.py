"""Commands about registered models: listing them, and changing the champion by hand."""

from pathlib import Path

import click

from varjepa.errors import ConfigError
from varjepa.flows.commands import as_json, command, finish, model_argument, tracking_option
from varjepa.flows.commands.checks import require_model
from varjepa.tasks.answers.registry import MoveAnswer


@command("varjepa models people", "varjepa models people --page people.html")
@click.argument("name", required=False)
@click.option("--page", type=click.Path(path_type=Path, dir_okay=False),
              help="HTML file for the life of NAME: versions, drift, and accuracy over time.")  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite --page.")
@tracking_option
@as_json
def models(name: str | None, page: Path | None, tracking_uri: str | None, *, force: bool, json_out: bool) -> None:
    """List registered versions, the decisions of the gate, and the history of champions."""
    if page is not None:
        _require_page(name, page, force=force)
    from varjepa.flows.show.registry import show_history, show_models
    from varjepa.tasks.registry.listing import champions, registered_models

    versions, history = registered_models(tracking_uri, name), champions(tracking_uri, name)
    show_models(versions)
    show_history(history)
    if page is not None and name is not None:
        from varjepa.tasks.reports.life import life_page
        from varjepa.tasks.steps.files import write_text
        from varjepa.tasks.tracking.uris import store

        write_text(page, life_page(name, store(tracking_uri)))
        click.echo(f"wrote {page}", err=True)
    finish({"models": versions, "history": history}, json_out=json_out)


def _require_page(name: str | None, page: Path, *, force: bool) -> None:
    """Checks what `--page` needs before anything is read."""
    if name is None:
        raise click.UsageError("--page is about one model: name it.")
    if page.exists() and not force:
        raise ConfigError(f"{page} exists already.", fix="Choose another file, or pass --force to overwrite it.")
    if not page.parent.is_dir():
        raise ConfigError(f"The folder {page.parent} does not exist.", fix="Create it, or choose another file.")


@command("varjepa promote models:/people/3 --dry-run")
@model_argument
@click.option("--dry-run", is_flag=True, help="Only show what would be done, and the decision of the gate.")
@click.option("--force", is_flag=True, help="Promote a version that the gate refused.")
@tracking_option
@as_json
def promote(model: str, tracking_uri: str | None, *, dry_run: bool, force: bool, json_out: bool) -> None:
    """Make MODEL the champion of its name.

    MODEL is models:/NAME/VERSION or models:/NAME@challenger. A version that the gate refused needs --force.
    """
    from varjepa.flows.show.registry import show_move
    from varjepa.tasks.registry.promote import promote as run

    result = run(model, tracking_uri, force=force, dry_run=dry_run)
    _tell(result, tracking_uri)
    show_move(result)
    finish(result, json_out=json_out)


def _tell(result: MoveAnswer, tracking_uri: str | None) -> None:
    """If the champion has moved: tells people, and brings the page of the model's life up to date."""
    from varjepa.tasks.notify.approval import tell_moved
    from varjepa.tasks.reports.keep_life import keep_life
    from varjepa.tasks.tracking.uris import store

    if result["moved"]:
        tell_moved(result, tracking_uri)
        keep_life(result["name"], store(tracking_uri))


why_option = click.option("--why", required=True, help="The reason, for the record.")


@command('varjepa approve people --why "checked with the sales team"')
@model_argument
@why_option
@tracking_option
@as_json
def approve(model: str, why: str, tracking_uri: str | None, *, json_out: bool) -> None:
    """Make MODEL, which passed the gate and waits for a person, the champion.

    MODEL is a registered name, models:/NAME/VERSION or models:/NAME@pending. Versions wait if the config says
    gate.approve: person.
    """
    _decide(model, why, tracking_uri, approve=True, json_out=json_out)


@command('varjepa reject models:/people/7 --why "trained on the wrong month"')
@model_argument
@why_option
@tracking_option
@as_json
def reject(model: str, why: str, tracking_uri: str | None, *, json_out: bool) -> None:
    """Reject MODEL, which passed the gate and waits for a person. The champion stays.

    MODEL is a registered name, models:/NAME/VERSION or models:/NAME@pending.
    """
    _decide(model, why, tracking_uri, approve=False, json_out=json_out)


def _decide(model: str, why: str, tracking_uri: str | None, *, approve: bool, json_out: bool) -> None:
    from varjepa.flows.show.registry import show_approval
    from varjepa.tasks.notify.approval import decide_and_tell
    from varjepa.tasks.reports.keep_life import keep_life
    from varjepa.tasks.tracking.uris import store

    result = decide_and_tell(model, tracking_uri, approve=approve, why=why)
    keep_life(result["name"], store(tracking_uri))
    show_approval(result)
    finish(result, json_out=json_out)


@command("varjepa rollback people")
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
    from varjepa.flows.show.registry import show_move
    from varjepa.tasks.registry.promote import rollback as run

    result = run(name, tracking_uri, steps=steps, dry_run=dry_run)
    _tell(result, tracking_uri)
    show_move(result)
    finish(result, json_out=json_out)


@command("varjepa verify models:/people@champion", "varjepa verify models:/people/3 --public-key trusted.pem")
@model_argument
@click.option("--public-key", metavar="FILE",
              help="PEM file of trusted keys; one must have signed MODEL (default: VARJEPA_TRUSTED_KEYS).")  # fmt: skip
@tracking_option
@as_json
def verify(model: str, public_key: str | None, tracking_uri: str | None, *, json_out: bool) -> None:
    """Check that MODEL is what was written, registered and, with a key, signed. No code of it runs.

    MODEL is a folder, a run id, models:/NAME/VERSION or models:/NAME@champion. Exit code 2 if anything differs.
    """
    from varjepa.tasks.signing.keys import read_trust

    trust = None if public_key is None else read_trust(public_key, "--public-key")
    require_model(model, tracking_uri)
    from varjepa.flows.show.registry import show_verified
    from varjepa.tasks.registry.verify import verify as run

    result = run(model, tracking_uri, trust)
    show_verified(result)
    finish(result, json_out=json_out)
