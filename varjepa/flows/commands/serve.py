"""The command that answers over HTTP."""

from pathlib import Path
from typing import Any

import click

from varjepa.flows.commands import NumberRange, command, model_argument, port_range, tracking_option
from varjepa.flows.commands.checks import loading, require_model


@command(
    "varjepa serve models:/people@champion",
    "varjepa serve models:/people@champion --shadow challenger --log predictions --keep customer_id",
)
@model_argument
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; 0.0.0.0 is everybody's.")
@click.option("--port", type=port_range, default=8080, show_default=True, help="Port.")
@click.option("--columns", default="prediction,uncertainty", show_default=True,
              help="What an answer holds, as for varjepa score; a request may ask for other columns.")  # fmt: skip
@click.option("--shadow", metavar="ALIAS",
              help="Alias whose version scores the same rows without answering, such as challenger.")  # fmt: skip
@click.option("--every", type=NumberRange(0.1, 3600), default=5.0, show_default=True,
              help="Seconds between looks at the alias.")  # fmt: skip
@click.option("--log", "folder", type=click.Path(path_type=Path, file_okay=False),
              help="Folder for a log of all answers (Parquet).")  # fmt: skip
@click.option("--keep", default="", metavar="COLUMNS",
              help="Columns of the rows that the log holds, such as a key; * for all. Default: none.")  # fmt: skip
@click.option("--log-mib", type=click.IntRange(1), default=1024, show_default=True,
              help="Largest size of the log; its oldest files are removed.")  # fmt: skip
@click.option("--max-mib", type=click.IntRange(1, 1024), default=10, show_default=True, help="Largest body.")
@click.option("--max-rows", type=click.IntRange(1), default=10_000, show_default=True, help="Most rows of a request.")
@click.option("--timeout", type=NumberRange(0.1, 3600), default=30.0, show_default=True,
              help="Seconds after which a request is given up.")  # fmt: skip
@click.option("--device", default="auto", show_default=True, help="auto, cpu, or a GPU by name.")
@tracking_option
def serve(
    model: str, host: str, port: int, *, columns: str, shadow: str | None, every: float, folder: Path | None, keep: str,
    log_mib: int, max_mib: int, max_rows: int, timeout: float, device: str, tracking_uri: str | None,
) -> None:  # fmt: skip
    """Answer rows over HTTP by MODEL, and follow its alias.

    POST rows to /predict as JSON, CSV or Arrow; /openapi.json describes it, /health and /metrics (Prometheus) watch it.
    When the alias moves, the new version is loaded beside the old one, and no request is lost. If the environment holds
    VARJEPA_SERVE_TOKEN, requests need it as a bearer token.
    """
    require_model(model, tracking_uri)
    from varjepa.inference.column_groups import require_known

    groups = tuple(dict.fromkeys(columns.split(",")))
    require_known(groups)
    if keep and folder is None:
        raise click.UsageError("--keep is about the log: add --log.")
    with loading():
        from varjepa.tasks.serving.app import serve as run
        from varjepa.tasks.serving.settings import MIB, ServeSettings

    limits: dict[str, Any] = {"most_bytes": max_mib * MIB, "most_rows": max_rows, "timeout": timeout}
    limits |= {"log": folder, "keep": tuple(filter(None, keep.split(","))), "log_bytes": log_mib * MIB}
    run(ServeSettings(model, groups, tracking_uri, device, shadow, every, **limits), host, port)
