"""`varjepa join`: lends this machine to trainings that others lead."""

import click

from varjepa.flows.commands import as_json, command, finish, without_secret


@command("varjepa join s3://team-work/varjepa", "varjepa join s3://team-work/varjepa --once")
@click.argument("work_uri", callback=without_secret)
@click.option("--once", is_flag=True, help="End after the first training that came to its end.")
@as_json
def join(work_uri: str, *, once: bool, json_out: bool) -> None:
    """Join trainings that ask for several machines (work.machines) in the work store WORK_URI, until interrupted."""
    from varjepa.config.load import validated
    from varjepa.config.operations import WorkSection

    validated(WorkSection, {"uri": work_uri}, "WORK_URI")
    from varjepa.tasks.joint_training.join import join as run

    finish(run(work_uri, once=once), json_out=json_out)
