"""`varjepa init`: inspects a table, writes a config and a data contract to review."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from varjepa.amounts import counted
from varjepa.config import DataSection, PreprocessSection
from varjepa.config.data import ColumnSection
from varjepa.config.edited import changed_content, edited_yaml
from varjepa.config.encoder_sizes import AUTO
from varjepa.config.load import override_values, parse_config
from varjepa.config.uris import VARIABLE, beside, home_expanded, is_local, scheme_of, without_scheme
from varjepa.config.yaml_text import dump_yaml, read_yaml
from varjepa.data.cells import beyond_counts, beyond_words, by_name
from varjepa.data.files.found import find_files
from varjepa.data.fit.derived_columns import SHOWN_RARE, rare_words
from varjepa.data.fit.label_task import task_of
from varjepa.data.fit.rows_protocol import Wanted
from varjepa.data.fit.streamed_rows import StreamedRows
from varjepa.data.read.column_profile import ColumnProfile
from varjepa.data.read.left_out import MOST_NAMED, by_reason
from varjepa.data.read.named_columns import named_in_job, renamed, require_named
from varjepa.errors import ConfigError, DataError, listed, suggested
from varjepa.tasks.answers.tables import ColumnAnswer, InitAnswer
from varjepa.tasks.setup.alike_values import alike_values
from varjepa.tasks.setup.drafted_contract import MOST_VALUES, contract_text
from varjepa.tasks.setup.gap_words import gap_words
from varjepa.tasks.setup.mixed_numbers import mixed_numbers
from varjepa.tasks.setup.natural_bounds import future_words
from varjepa.tasks.setup.obstacles import obstacles
from varjepa.tasks.setup.repeated_keys import repeated_keys
from varjepa.tasks.setup.time_order import ordered_by_time
from varjepa.tasks.setup.total_row import total_row
from varjepa.tasks.sources.address import expanded, require_place, table_of
from varjepa.tasks.sources.glance import columns_at_hand, require_table
from varjepa.tasks.sources.open_table import opened_table, reads
from varjepa.tasks.steps.files import write_text
from varjepa.visible import visible

LARGE, EPOCH_ROWS = 5_000_000, 1_000_000
"""For tables with more than `LARGE` rows the config sets `training.epoch_rows`, because a pass may take a day."""

TEXT_WORDS = (
    f"becomes {PreprocessSection().text_dimensions} numbers, an embedding of its words and n-grams "
    "(preprocess.text_dimensions)"
)
"""What becomes of a column of text."""

SMALL, FEW_CONTENTS = 10_000, 50
"""Up to `SMALL` rows, a table with fewer different rows than `FEW_CONTENTS` is split at random. Of 50, none falls into
a part of a tenth with a chance of 0.5%."""


_REFUSED = re.compile(r"[/:.%\"'@\x00-\x1f\x7f]+")
"""What `registry.name` does not accept."""

LONGEST_NAME = 200
"""Characters that `registry.name` accepts."""


@dataclass(frozen=True)
class Started:
    """The profile of the table, how its columns are spelled, and the written files."""

    config: Path
    contract: Path
    rows: int
    label: str | None
    profiles: dict[str, ColumnProfile]
    spelled: dict[str, ColumnSection]
    words: dict[str, str]
    """Columns that are not in the plain spelling -> how they are spelled."""
    doubts: dict[str, str]
    """Columns that may be read in another way -> how they are read; also cells that count as missing, or as rare."""
    obstacles: tuple[str, ...] = ()
    """Why a retrain will refuse the table, as sentences."""
    predicted: str = ""
    """What the label is predicted as, such as "2 classes"."""

    def summary(self) -> InitAnswer:
        """Plain data for `--json`."""
        columns: dict[str, ColumnAnswer] = {
            name: {"kind": facts.kind, "missing": facts.missing_share, "distinct": facts.distinct}
            for name, facts in self.profiles.items()
        }
        for name, section in self.spelled.items():
            columns[name]["format"] = section.format
        return {
            "config": str(self.config), "contract": str(self.contract), "rows": self.rows, "label": self.label,
            "columns": columns, "obstacles": list(self.obstacles),
        }  # fmt: skip


def initialise(
    data: str,
    *,
    label: str | None,
    out: Path | None,
    force: bool,
    reading: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
) -> Started:
    """Profiles a table and writes `OUT` and `contracts/OUT` beside it.

    Args:
        data: file, folder, glob or URI.
        label: the column to predict.
        out: the config to write.
        force: overwrite existing files.
        reading: query, parameters and version (at) of the table.
        overrides: `section.key=value` to write into the config; keys of `data` also say how to read the table.

    Raises:
        DataError: the table cannot be read, or has no rows.
        ConfigError: an override is invalid, the label is not a column, or a file would be overwritten.
    """
    changes = override_values(overrides)
    section, label = _told(require_place(data, reading or {}), changes), label or changes.get("data.label")
    config = out or Path(f"{_table_name(data)}.yaml")
    contract = config.parent / "contracts" / f"{config.stem}.yaml"
    require_label(section, label)
    _require_other_files(section, (config, contract))
    existing = [str(path) for path in (config, contract) if path.exists()]
    if existing and not force:
        raise ConfigError(f"{listed(existing)} would be overwritten.", fix="Pass --force, or choose another --out.")
    with opened_table(section) as source, reads(section):
        frame = renamed(source.frame, section.rename)
        rows = StreamedRows(frame)
        if not rows.rows:
            raise DataError(f"{source.description} has no rows.", expected="Expected a header line and rows.")
        _require_label(list(rows.schema), label, source.description)
        profiles = rows.whole_profiles()
        beyond = beyond_counts(frame)
        drafted = contract_text(frame, rows.rows, profiles, beyond)
        few = has_few_contents(frame, rows.rows, _features(profiles, label))
        remarks = {name: beyond_words(count) for name, count in beyond.items()}
        remarks |= rare_columns(rows, {name: facts for name, facts in profiles.items() if name != label})
        alike, total = alike_values(frame, profiles.values()), total_row(frame, rows.rows, profiles)
        mixed = mixed_numbers(frame, profiles.values())
        ordered = {} if section.split.by == "time" else ordered_by_time(frame, profiles)
    keys = {} if section.split.column is not None else repeated_keys(profiles, label)
    remarks = _together(
        remarks, future_columns(profiles), keys, ordered, alike, mixed, total, gap_words(section, profiles.values())
    )
    started = Started(
        config, contract, rows.rows, label, profiles, source.columns, source.words, {**remarks, **source.doubts},
        tuple(obstacles(rows.rows, profiles, label, section.drop)), _predicted(profiles, label, section.task),
    )  # fmt: skip
    text = edited_yaml(_config_text(section, started, few_contents=few), changes)
    # What is written, a retrain accepts.
    require_named(list(profiles), named_in_job(parse_config(read_yaml(text, str(config)), str(config))))
    contract.parent.mkdir(parents=True, exist_ok=True)
    write_text(contract, drafted)
    write_text(config, text)
    return started


def _require_other_files(section: DataSection, places: Iterable[Path]) -> None:
    """Checks that no file of the table would be overwritten, not even by --force.

    Raises:
        ConfigError: one would.
    """
    address = expanded(str(section.path))
    if not is_local(address) or home_expanded(address).is_dir():
        return
    for place in places:
        if place.exists() and any(place.samefile(file) for file in find_files(address).files):
            raise ConfigError(f"{place} is the table itself.", fix="Choose another --out.")


def _predicted(profiles: Mapping[str, ColumnProfile], label: str | None, task: str) -> str:
    if label is None or task == "none":
        return ""
    facts = profiles[label]
    return "a number" if task_of(facts, task) == "regression" else counted(facts.distinct, "class", "classes")


def require_label(section: DataSection, label: str | None) -> None:
    """Checks that a local table is there and has the label, as far as its header says, before anything else is checked.

    Raises:
        ConfigError: the label is not a column.
        DataError: there is no table.
    """
    require_table(str(section.path), {"query": section.query, "parameters": section.parameters, "at": section.at})
    if label is not None and (columns := columns_at_hand(section)) is not None:
        _require_label(columns, label, str(section.path))


def _require_label(columns: Sequence[str], label: str | None, place: str) -> None:
    if label is not None and label not in columns:
        hint = suggested([label], columns, f"Columns: {listed(columns, 20)}.")
        raise ConfigError(f'The label "{label}" is not a column of {place}.', fix=hint)


def _told(section: DataSection, changes: Mapping[str, Any]) -> DataSection:
    """The settings of the table with the user's own. All of the user's keys are checked before the table is read.

    Raises:
        ConfigError: one of them is not valid.
    """
    own = {key.removeprefix("data."): value for key, value in changes.items() if key.startswith("data.")}
    parse_config(changed_content({"data": section.model_dump()}, changes), "--set")
    return section if not own else DataSection.model_validate(changed_content(section.model_dump(), own))


def _table_name(data: str) -> str:
    """A name for the config of a table: that of the file, or of the table in a database."""
    place = table_of(data) or without_scheme(data).partition("?")[0] if scheme_of(data) else data
    last = Path(place.rstrip("/*")).name
    # The name of a file before its extension, the name of a table after its schema.
    parts = last.strip('"').split(".")
    named = parts[-1] if table_of(data) or scheme_of(data) == "iceberg" else parts[0]
    return re.sub(r"[^\w-]+", "-", VARIABLE.sub("", named)).strip("-") or "table"


def _together(*remarks: Mapping[str, str]) -> dict[str, str]:
    """What is to be said of each column, in one line."""
    names = dict.fromkeys(name for each in remarks for name in each)
    return {name: "; ".join(each[name] for each in remarks if name in each) for name in names}


def future_columns(profiles: Mapping[str, ColumnProfile]) -> dict[str, str]:
    """Columns whose dates or years reach into the future -> what to say about them."""
    today = datetime.now(UTC).date()
    found = {
        name: future_words(name, facts.largest, whole=facts.whole, today=today)
        for name, facts in profiles.items() if facts.kind in ("numeric", "date") and facts.largest is not None
    }  # fmt: skip
    return {name: words for name, words in found.items() if words}


def rare_columns(rows: StreamedRows, profiles: Mapping[str, ColumnProfile]) -> dict[str, str]:
    """Categorical columns with many rare categories, which will share one code -> what to say about them."""
    settings = PreprocessSection()
    words = [facts for facts in profiles.values() if facts.kind == "categorical" and facts.distinct > MOST_VALUES]
    wanted = [Wanted(facts, settings.min_count, settings.max_categories) for facts in words]
    shares = {facts.name: 1 - found.covered for facts, found in zip(words, rows.frequent(wanted), strict=True)}
    return {name: rare_words(share) for name, share in shares.items() if share > SHOWN_RARE}


def _place(data: DataSection, home: Path) -> dict[str, Any]:
    """The keys that say where the table lies, in a config of the folder `home`."""
    if is_local(str(data.path)):
        place = home_expanded(str(data.path)).absolute()
        path = str(place.relative_to(home) if place.is_relative_to(home) else place)
    else:
        path = str(data.path) if home == Path.cwd() else beside(Path.cwd(), str(data.path))
    others = {"query": data.query, "parameters": dict(data.parameters), "at": data.at}
    return {"path": path} | {key: value for key, value in others.items() if value not in (None, {})}


def _features(profiles: Mapping[str, ColumnProfile], label: str | None) -> list[str]:
    return [name for name, facts in profiles.items() if not facts.left_out and name != label]


def has_few_contents(frame: pl.LazyFrame, rows: int, features: list[str]) -> bool:
    """Whether a split by hash may leave a part empty, as rows of the same content share one.

    Args:
        frame: the rows.
        rows: their number; tables above `SMALL` are not looked at.
        features: columns to hash.
    """
    if rows > SMALL or not features:
        return False
    return frame.select(by_name(features)).unique().collect().height < FEW_CONTENTS


def _config_text(data: DataSection, seen: Started, *, few_contents: bool) -> str:
    away = {name: facts.left_out for name, facts in seen.profiles.items() if facts.left_out and name != seen.label}
    identifiers = [name for name in away if seen.profiles[name].kind == "identifier"]
    # The verdict of these rows is kept: what later rows look like does not change it.
    kinds = {"kinds": dict.fromkeys(identifiers, "identifier")} if identifiers else {}
    columns = {name: section.model_dump(mode="json", exclude_defaults=True) for name, section in seen.spelled.items()}
    spelled = {"columns": columns} if columns else {}
    # By hash, rows stay in their part when the table grows or gets further columns, so no champion has learned from a
    # challenger's test rows.
    features = _features(seen.profiles, seen.label)
    split = {"by": "random"} if few_contents else {"by": "hash"} | ({"columns": features} if features else {})
    content: dict[str, Any] = {
        "data": {
            **_place(data, seen.config.parent.absolute()),
            "label": seen.label,
            **kinds,
            **spelled,
            "split": split,
        },
        "contract": {"path": str(seen.contract.relative_to(seen.config.parent))},
        "model": {"size": AUTO},
        "registry": {"name": _REFUSED.sub("-", seen.config.stem)[:LONGEST_NAME]},
    }
    # In JSON a name takes one line, whatever it holds.
    shown = {name: visible(json.dumps(name, ensure_ascii=False)) for name in seen.profiles}
    notes = []
    for why, names in by_reason(away).items():
        if len(names) > MOST_NAMED:
            first = ", ".join(shown[name] for name in names[:MOST_NAMED])
            more = f"{len(names) - MOST_NAMED:,} more"
            notes.append(f"# {len(names):,} columns are not features, each as {_line(why)}: {first} and {more}.")
        else:
            notes += [f"# {shown[name]} is not a feature: {_line(why)}." for name in names]
    notes += [f"# {shown[name]} holds {_line(words)}." for name, words in seen.words.items()]
    notes += [f"# {shown[name]}: {_line(doubt)}." for name, doubt in seen.doubts.items()]
    notes += [
        f"# {shown[name]} {TEXT_WORDS}."
        for name, facts in seen.profiles.items()
        if facts.kind == "text" and name != seen.label
    ]
    notes += [f"# {_line(obstacle)}" for obstacle in seen.obstacles]
    if few_contents:
        notes.append("# So few rows differ that a split by their hash might leave a part without rows: it is random.")
    if seen.label is None:
        notes.append("# data.label names a column to predict. Without one, the validation ELBO selects the epoch.")
    if seen.rows > LARGE:
        content["training"] = {"epoch_rows": EPOCH_ROWS}
        notes.append("# Epochs share a pass over the rows (training.epoch_rows). training.max_epochs is their number.")
    notes.append("# model.size auto: small, medium or wide, by the rows and features; `--plan` names the layers.")
    notes.append("# Correct wrong kinds in data.kinds; list columns to leave out in data.drop.")
    notes.append("# `varjepa schema` prints all keys and their defaults.")
    return "\n".join([f"# Retrain job for {_line(_table_name(str(data.path)))}.", *notes, dump_yaml(content)])


def _line(words: str) -> str:
    """Words that may hold names and cells, in one line of what YAML takes in a comment."""
    return visible(" ".join(words.split()))
