"""Commands that begin and compare: init, the studies, the schema of a config."""

import json
from pathlib import Path
from typing import Any

import click

from varjepa.flows.commands import as_json, command, finish, from_place


@command("varjepa init people.csv --label income", "varjepa init people.csv --label income --project people")
@click.argument("data", type=click.Path())
@click.option("--label", help="Column to predict. If not given, the validation ELBO selects the epoch.")
@click.option("--out", type=click.Path(path_type=Path), help="Config file to write (default: DATA with .yaml).")
@click.option("--project", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Write a whole project instead: also a schedule, a Dockerfile, and workflows for CI.")  # fmt: skip
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Write a key into the config, such as training.max_epochs=3 or data.separator=;.")  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@from_place
@as_json
def init(
    data: str, label: str | None, out: Path | None, *, project: Path | None, overrides: tuple[str, ...],
    reading: dict[str, Any], force: bool, json_out: bool,
) -> None:  # fmt: skip
    """Inspect a table; write a config and a data contract to review.

    DATA is a file, a folder or glob of files, or the URI of a table (s3://, https://, delta://, postgresql://...).
    """
    from varjepa.flows.show.setup import show_profile
    from varjepa.tasks.setup.initialise import initialise

    if project is not None and out is not None:
        raise click.UsageError("--project names its config itself: leave out --out.")
    if project is None:
        started = initialise(data, label=label, out=out, force=force, reading=reading, overrides=overrides)
    else:
        from varjepa.tasks.setup.project import start_project

        started = start_project(data, project, label=label, force=force, reading=reading, overrides=overrides)
    show_profile(started)
    finish(started.summary(), json_out=json_out)


@command("varjepa simulate --variants A,B --runs 2 --set rows=2000")
@click.option("--variants", default="A,B,C,D,E,F,G,H,I,J", show_default=True, help="Variants to train.")
@click.option("--runs", default=5, show_default=True, help="Runs per variant.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting, such as rows=2000.")
@click.option("--fresh", is_flag=True, help="Train every model again instead of reusing stored results.")
@as_json
def simulate(variants: str, runs: int, overrides: tuple[str, ...], *, fresh: bool, json_out: bool) -> None:
    """Repeat the paper's simulation study and compare with the published table."""
    from varjepa.config import study_config

    settings = study_config(overrides, variants=variants.split(","), runs=runs)
    from varjepa.flows.show.studies import show_study
    from varjepa.flows.simulate import simulate as flow
    from varjepa.tasks.orchestration.flow_runs import owned
    from varjepa.tasks.steps.reuse import afresh

    with afresh(fresh), owned():
        result = flow(settings)
    show_study(result)
    finish(result, json_out=json_out)


@command(
    "varjepa benchmark --datasets sim --predictors linear,xgboost --seeds 2",
    "varjepa benchmark --datasets jobs/people.yaml --labels 50,200,all",
)
@click.option("--datasets", default="sim", show_default=True,
              help="Configs of retrain jobs: YAML files, or names of files in configs/.")  # fmt: skip
@click.option("--predictors", help="Some of mlp,dcnv2,resnet,autoint,ft_transformer,xgboost (default: these), linear,"
              "lightgbm,tabm,realmlp,skrub_linear,skrub_trees; or all.")  # fmt: skip
@click.option("--features", help="Some of raw,untrained,t_jepa,var_t_jepa (default: all).")
@click.option("--labels", metavar="50,200,1000,all",
              help="Accuracy over the number of labelled rows instead of a comparison of predictors.")  # fmt: skip
@click.option("--seeds", default=5, show_default=True,
              help="Runs per predictor and encoder, or draws of labelled rows.")  # fmt: skip
@click.option("--encoder-seeds", default=1, show_default=True, help="Encoders of each kind on each split.")
@click.option("--splits", default=1, show_default=True, help="Splits of each table.")
@click.option("--trials", type=int, help="Settings tried for every predictor (default: 8; 1: those of the paper).")
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
    trials: int | None, fresh: bool, json_out: bool, **settings: Any,
) -> None:  # fmt: skip
    """Compare Var-T-JEPA, T-JEPA, untrained encoders and raw features under equal predictors, or with few labels."""
    from varjepa.config import PREDICTORS, benchmark_config

    predictors = ",".join(PREDICTORS) if predictors == "all" else predictors
    overrides = (*overrides, f"training.trials={trials}") if trials is not None else overrides

    lists = {"predictors": predictors, "features": features, "labels": labels}
    settings |= {name: value.split(",") for name, value in lists.items() if value}
    if labels is not None and (predictors or features):
        raise click.UsageError("--labels compares methods of its own: leave out --predictors and --features.")
    config = benchmark_config(datasets.split(","), overrides, **settings)
    from varjepa.flows.benchmark import benchmark as run
    from varjepa.flows.show.studies import show_benchmark
    from varjepa.tasks.orchestration.flow_runs import owned
    from varjepa.tasks.steps.reuse import afresh

    with afresh(fresh), owned():
        if config.labels:
            from varjepa.flows.label_curves import label_curves
            from varjepa.flows.show.studies import show_label_curves

            curves = label_curves(config)
            show_label_curves(curves)
            finish(curves, json_out=json_out)
            return
        result = run(config)
    show_benchmark(result)
    finish(result, json_out=json_out)


@command("varjepa schema > varjepa.schema.json", "varjepa schema --format markdown > configuration.md")
@click.option("--format", "layout", type=click.Choice(["json", "markdown"]), default="json", show_default=True,
              help="json: a JSON schema, for editors; markdown: a page with all keys, for people.")  # fmt: skip
def schema(layout: str) -> None:
    """Print all keys of a config with their types, defaults and meanings."""
    if layout == "markdown":
        from varjepa.config.schema_page import schema_page

        click.echo(schema_page(), nl=False)
        return
    from varjepa.config import RetrainConfig

    click.echo(json.dumps(RetrainConfig.model_json_schema(), indent=2))
