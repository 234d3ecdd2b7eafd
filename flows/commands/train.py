"""Commands that train: init, the main flow, the studies."""

import json
from pathlib import Path
from typing import Any

import click

from flows.commands import as_json, finish, from_place


@click.command()
@click.argument("data", type=click.Path())
@click.option("--label", help="Column to predict. If not given, the validation ELBO selects the epoch.")
@click.option("--out", type=click.Path(path_type=Path), help="Config file to write (default: DATA with .yaml).")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@from_place
@as_json
def init(
    data: str, label: str | None, out: Path | None, *, reading: dict[str, Any], force: bool, json_out: bool
) -> None:
    """Inspect a table; write a config and a data contract to review.

    DATA is a file, a folder or glob of files, or the URI of a table (s3://, https://, delta://, postgresql://...).
    """
    from flows.show.setup import show_profile
    from tasks.setup.initialise import initialise

    started = initialise(data, label=label, out=out, force=force, reading=reading)
    show_profile(started)
    finish(started.summary(), json_out=json_out)


@click.command()
@click.argument("config", type=click.Path())
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, such as training.lr=1e-3."
)
@click.option("--fresh", is_flag=True, help="Run every step again instead of reusing stored results.")
@click.option("--dry-run", is_flag=True, help="Show what the gate would decide; register and promote nothing.")
@as_json
def retrain(config: str, overrides: tuple[str, ...], *, fresh: bool, dry_run: bool, json_out: bool) -> None:
    """Train, evaluate and register the model that CONFIG (YAML) describes."""
    from varjepa.config import load_config

    settings = load_config(config, overrides)
    from tasks.orchestration.warm_server import server_under_way

    with server_under_way():
        from flows.retrain import retrain as flow
        from tasks.orchestration.flow_runs import owned
        from tasks.steps.reuse import start_fresh
        from tasks.tracking.store import open_known

        open_known(settings.tracking)

    if fresh:
        start_fresh()
    with owned():
        result = flow(settings, dry_run=dry_run)
        from flows.show.results import show_result

        show_result(result, settings)
        finish(result, json_out=json_out)


@click.command()
@click.option("--variants", default="A,B,C,D,E,F,G,H,I,J", show_default=True, help="Variants to train.")
@click.option("--runs", default=5, show_default=True, help="Runs per variant.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting, such as rows=2000.")
@click.option("--fresh", is_flag=True, help="Train every model again instead of reusing stored results.")
@as_json
def simulate(variants: str, runs: int, overrides: tuple[str, ...], *, fresh: bool, json_out: bool) -> None:
    """Repeat the paper's simulation study and compare with the published table."""
    from varjepa.config import study_config

    settings = study_config(overrides, variants=variants.split(","), runs=runs)
    from flows.show.studies import show_study
    from flows.simulate import simulate as flow
    from tasks.orchestration.flow_runs import owned
    from tasks.steps.reuse import start_fresh

    if fresh:
        start_fresh()
    with owned():
        result = flow(settings)
    show_study(result)
    finish(result, json_out=json_out)


@click.command()
@click.option("--datasets", default="sim", show_default=True,
              help="Configs of retrain jobs: YAML files, or names of files in configs/.")  # fmt: skip
@click.option("--predictors", help="Some of mlp,dcnv2,resnet,autoint,ft_transformer,xgboost (default: all).")
@click.option("--features", help="Some of raw,t_jepa,var_t_jepa (default: all).")
@click.option("--labels", metavar="50,200,1000,all",
              help="Accuracy over the number of labelled rows instead of a comparison of predictors.")  # fmt: skip
@click.option("--seeds", default=5, show_default=True, help="Runs per predictor, or draws of labelled rows.")
@click.option("--protocol", type=click.Choice(["inductive", "paper"]), default="inductive", show_default=True,
              help="inductive: encoders see training rows only; paper: all rows, without labels.")  # fmt: skip
@click.option("--runner", type=click.Choice(["processes", "threads", "dask"]), default="processes", show_default=True,
              help="What computes the cells.")  # fmt: skip
@click.option("--workers", default=0, help="Cells computed in parallel (default: one per core).")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Override a setting, such as training.epochs=20, or DATASET.training.lr=1e-3.")  # fmt: skip
@click.option("--fresh", is_flag=True, help="Compute everything again instead of reusing stored results.")
@as_json
def benchmark(
    datasets: str, predictors: str | None, features: str | None, labels: str | None, overrides: tuple[str, ...], *,
    fresh: bool, json_out: bool, **settings: Any,
) -> None:  # fmt: skip
    """Compare Var-T-JEPA, T-JEPA and raw features under six predictors, or with few labels."""
    from varjepa.config import benchmark_config

    lists = {"predictors": predictors, "features": features, "labels": labels}
    settings |= {name: value.split(",") for name, value in lists.items() if value}
    if labels is not None and (predictors or features):
        raise click.UsageError("--labels compares methods of its own: leave out --predictors and --features.")
    config = benchmark_config(datasets.split(","), overrides, **settings)
    from flows.benchmark import benchmark as run
    from flows.show.studies import show_benchmark
    from tasks.orchestration.flow_runs import owned
    from tasks.steps.reuse import start_fresh

    if fresh:
        start_fresh()
    with owned():
        if config.labels:
            from flows.label_curves import label_curves
            from flows.show.studies import show_label_curves

            curves = label_curves(config)
            show_label_curves(curves)
            finish(curves, json_out=json_out)
            return
        result = run(config)
    show_benchmark(result)
    finish(result, json_out=json_out)


@click.command()
def schema() -> None:
    """Print the JSON schema of a config, for editors."""
    from varjepa.config import RetrainConfig

    click.echo(json.dumps(RetrainConfig.model_json_schema(), indent=2))
