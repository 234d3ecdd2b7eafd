"""The command that removes what nothing needs any more."""

from datetime import timedelta

import click

from varjepa.flows.commands import as_json, command, finish, tracking_option, without_secret


def _age(_context: click.Context, _option: click.Parameter, text: str | None) -> timedelta | None:
    from varjepa.config.durations import duration

    try:
        return None if text is None else duration(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}. Expected, for example, 30d or 12h.") from None


@command("varjepa clean --keep 10 --older 30d --dry-run")
@click.option("--keep", type=click.IntRange(min=1), metavar="N",
              help="Keep the N newest versions of each model, and those that are needed (default: all).")  # fmt: skip
@click.option("--older", metavar="AGE", callback=_age,
              help="Remove only what is older, such as 30d or 12h, and also runs that made no version that is left "
              "(default: 30d for intermediate results and deleted runs, no runs).")  # fmt: skip
@click.option("--name", help="Remove only versions of this model.")
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@click.option("--work-uri", callback=without_secret,
              help="Work store that machines share (default: VARJEPA_WORK_URI; otherwise none).")  # fmt: skip
@tracking_option
@as_json
def clean(
    keep: int | None, older: timedelta | None, name: str | None, tracking_uri: str | None, *, work_uri: str | None,
    dry_run: bool, json_out: bool,
) -> None:  # fmt: skip
    """Remove old work folders, shared results, checkpoints, locks, versions and runs that nothing needs.

    Versions with an alias, the champion, the one before it, and whatever a running job uses are never removed.

    Example: varjepa clean --keep 10 --older 30d --dry-run
    """
    from varjepa.flows.show.clean import show_cleaned
    from varjepa.tasks.cleaning.clean import clean as run
    from varjepa.tasks.cleaning.policy import Policy
    from varjepa.tasks.tracking.uris import store
    from varjepa.tasks.work_store.opened import chosen_work_uri

    policy = Policy(keep, older, dry_run=dry_run, name=name)
    result = run(store(tracking_uri), policy, chosen_work_uri(work_uri, "--work-uri"))
    show_cleaned(result)
    finish(result, json_out=json_out)
