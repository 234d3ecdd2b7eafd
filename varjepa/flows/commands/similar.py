"""Commands that search a table by the compact vectors of a model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from varjepa.flows.commands import NumberRange, command, finish, model_argument, names
from varjepa.flows.commands.checks import loading, require_columns, require_files, require_model
from varjepa.flows.commands.infer import over_files, show_dry_run
from varjepa.tasks.answers.tables import SimilarAnswer


def over_table(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of commands that search a table."""
    for option in (
        click.option("--size", type=click.IntRange(1, 256), default=64, show_default=True,
                     help="Numbers of a vector: fewer are faster, more are finer."),
        click.option("--index", type=click.Path(path_type=Path),
                     help="Folder that keeps the index of TABLE for the next time (default: one in mlruns/work)."),
        click.option("--keep", default="", help="Columns of TABLE to copy to OUT, such as an identifier."),
    ):  # fmt: skip
        command = option(command)
    return over_files(command)


@command("varjepa similar models:/people@champion people.csv new.csv nearest.csv --k 5")
@model_argument
@click.argument("table")
@click.argument("query")
@click.argument("out")
@click.option("--k", type=click.IntRange(min=1), default=10, show_default=True, help="Neighbours of each row.")
@click.option("--leave-same", is_flag=True,
              help="Leave out rows of TABLE that equal the row of QUERY, such as itself.")  # fmt: skip
@over_table
def similar(model: str, table: str, query: str, out: str, *, k: int, leave_same: bool, **options: Any) -> None:
    """Write to OUT the rows of TABLE that are nearest to each row of QUERY.

    OUT has one line per row of QUERY and neighbour: `query` and `row` are row numbers from 0, `rank` counts from 1, and
    1 is the usual `distance` of two rows. MODEL, TABLE, QUERY and OUT are as MODEL, IN and OUT of `score`. The index of
    TABLE is used again until TABLE or MODEL changes.
    """
    settings: dict[str, Any] = {"k": k, "leave_same": leave_same}
    _search(
        model,
        (table, query),
        out,
        options,
        lambda steps, trained, search: steps.similar(trained, search, query, **settings),
    )


@command("varjepa duplicates models:/people@champion people.csv pairs.csv")
@model_argument
@click.argument("table")
@click.argument("out")
@click.option("--within", type=NumberRange(min=0), default=0.05, show_default=True,
              help="Largest distance; 1 is the usual distance of two rows.")  # fmt: skip
@over_table
def duplicates(model: str, table: str, out: str, *, within: float, **options: Any) -> None:
    """Write to OUT the pairs of rows of TABLE that hardly differ, the nearest first.

    `row` and `other` are row numbers from 0. Arguments are as for `similar`.
    """
    _search(
        model, (table,), out, options, lambda steps, trained, search: steps.duplicates(trained, search, within=within)
    )


@command("varjepa outliers models:/people@champion people.csv outliers.csv --top 50")
@model_argument
@click.argument("table")
@click.argument("out")
@click.option("--top", type=click.IntRange(min=1), default=100, show_default=True, help="Number of rows to write.")
@click.option("--k", type=click.IntRange(min=1), default=10, show_default=True, help="The neighbour that counts.")
@over_table
def outliers(model: str, table: str, out: str, *, top: int, k: int, **options: Any) -> None:
    """Write to OUT the rows of TABLE that are farthest from their k-th nearest other row, the farthest first.

    `row` is a row number from 0. Arguments are as for `similar`.
    """
    _search(model, (table,), out, options, lambda steps, trained, search: steps.far_rows(trained, search, top=top, k=k))


def _search(
    model: str, tables: tuple[str, ...], out: str, options: dict[str, Any], run: Callable[..., SimilarAnswer]
) -> None:
    """Checks what was asked for, opens the model, runs a search in the first of the tables, and shows a summary."""
    require_model(model, options["tracking_uri"])
    require_files(tables, out, options)
    for place, keep in zip(tables, (names(options["keep"]), ()), strict=False):
        require_columns(model, options["tracking_uri"], place, {"--keep": keep})
    if options["dry_run"]:
        show_dry_run(model, tables, out, options, keep=names(options["keep"]))
        return
    with loading():
        from varjepa.flows.show.scoring import show_search
        from varjepa.inference.storage import load_model, model_digest
        from varjepa.tasks.registry.open_model import model_folder
        from varjepa.tasks.scoring import similar as steps

    folder = model_folder(model, options["tracking_uri"])
    trained = load_model(folder, options["device"], options["precision"])
    # Vectors of another precision differ a little, so they have an index of their own.
    digest = f"{model_digest(folder)} {trained.network.precision}"
    keep = names(options["keep"])
    chosen = {key: options[key] for key in ("size", "index", "batch_size", "force", "append")}
    result = run(steps, trained, steps.Search(tables[0], out, digest, keep=keep, **chosen))
    show_search(result)
    finish(result, json_out=options["json_out"])
