"""Checks of names and places, before a command imports what it works with."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from varjepa.config.retrain import RetrainConfig
from varjepa.errors import VarjepaError


def require_model(model: str, tracking_uri: str | None) -> None:
    """Checks the name of a model; see `varjepa.tasks.registry.names.require_model`."""
    from varjepa.tasks.registry.names import require_model as require

    require(model, tracking_uri)


def require_columns(
    model: str, tracking_uri: str | None, source: str, named: Mapping[str, Iterable[str | None]],
    reading: Mapping[str, Any] | None = None, **needed: bool,
) -> None:  # fmt: skip
    """Checks the columns that a command reads; see `varjepa.tasks.scoring.checks.require_columns`."""
    from varjepa.tasks.registry.names import folder_at_hand

    folder = folder_at_hand(model, tracking_uri)
    if folder is not None:
        from varjepa.tasks.scoring.checks import require_columns as require

        require(folder, source, named, reading, **needed)


def require_files(
    sources: Iterable[str], out: str | None, options: Mapping[str, Any], reading: Mapping[str, Any] | None = None
) -> None:
    """Checks that tables are there, and that OUT may be written and is none of them.

    Args:
        sources: places of tables.
        out: place of the output; None where there is none.
        options: of the command, `force` and `append` among them.
        reading: query, parameters and version (at) of the tables.

    Raises:
        UserError: one of them is not usable.
    """
    from varjepa.tasks.destinations.destination import require_destination, require_other_place
    from varjepa.tasks.sources.glance import require_table

    for source in (tables := tuple(sources)):
        require_table(source, reading)
    if out is not None:
        for source in tables:
            require_other_place(source, out)
        require_destination(out, force=options.get("force", False), append=options.get("append", False))


def require_job(path: str | Path, overrides: Sequence[str] = (), *, now: bool = True) -> RetrainConfig:
    """Reads a job, and checks its templates and variables, that contract and table are there, and columns it names.

    Args:
        path: of the YAML file.
        overrides: `section.key=value`.
        now: whether the job runs now; the table of a schedule may come later.

    Raises:
        UserError: the job is not valid, or one of them is not there.
    """
    from varjepa.config.load import load_config
    from varjepa.data.read.contract import load_contract
    from varjepa.data.read.named_columns import named_in_job, require_named
    from varjepa.tasks.sources.address import expanded
    from varjepa.tasks.sources.glance import columns_at_hand, require_table
    from varjepa.tasks.sources.run_day import with_run_date

    config = load_config(path, overrides)
    try:
        dated = with_run_date(config)
        for place in (dated.data.path, dated.watch.path):
            if place is not None:
                expanded(place)  # a variable that is not set would end every run of a schedule
        if now and config.data.path is not None:
            reading = {"query": config.data.query, "parameters": dict(config.data.parameters), "at": config.data.at}
            require_table(config.data.path, reading)
            if (columns := columns_at_hand(config.data)) is not None:
                require_named(columns, named_in_job(config))
        if config.contract.path is not None:
            load_contract(config.contract.path)
    except VarjepaError as error:
        if now and config.notify:
            from varjepa.tasks.notify.events import tell_failure

            tell_failure(config, error)
        raise
    return config


@contextmanager
def loading() -> Iterator[None]:
    """Around the imports of what opens a model, which take seconds: says so first."""
    from varjepa.tasks.steps.imports import quick_imports
    from varjepa.tasks.steps.log import log

    log.info("loading libraries")
    with quick_imports():
        yield
