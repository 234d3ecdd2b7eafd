"""The command that judges a model by labels that arrived later."""

from typing import Any

import click

from varjepa.flows.commands import as_json, command, finish, from_place, model_argument, tracking_option
from varjepa.flows.commands.checks import require_columns, require_files, require_model


@command("varjepa evaluate models:/people@champion labelled.csv")
@model_argument
@click.argument("labelled")
@click.option("--scored", type=click.Path(), help="An output of `score` for these rows, made before labels were known.")
@click.option("--key", help="Column that names a row, in LABELLED and in --scored (see `score --keep`).")
@from_place
@click.option("--device", default="auto", show_default=True, help="auto, cpu, or a GPU by name.")
@tracking_option
@as_json
def evaluate(
    model: str, labelled: str, *, scored: str | None, key: str | None, json_out: bool, **settings: Any
) -> None:
    """Show how predictions, certificate, intervals and estimates of MODEL held up on LABELLED rows.

    LABELLED has the columns of training and the label. With --scored it needs no more than the key and the label: they
    are joined to what `score` said earlier. The result is recorded as a run. A promise is broken if chance alone does
    not explain it, open if less was measured than promised but chance may explain it.
    """
    if (scored is None) != (key is None):
        raise click.UsageError("--scored and --key belong together: the key joins labels to scores.")
    require_model(model, settings["tracking_uri"])
    require_files((labelled,), None, {}, settings["reading"])
    if scored is not None:
        require_files((scored,), None, {})
    require_columns(model, settings["tracking_uri"], labelled, {"--key": [key]}, settings["reading"],
                    features=scored is None, label=True)  # fmt: skip
    from varjepa.tasks.orchestration.warm_server import server_under_way

    with server_under_way():
        from varjepa.flows import evaluate as flow
        from varjepa.flows.show.evaluate import show_evaluation
        from varjepa.tasks.orchestration.flow_runs import owned

    with owned():
        result: Any = flow.evaluate(model, labelled, scored=scored, key=key, **settings)
        show_evaluation(result)
        finish(result, json_out=json_out)
