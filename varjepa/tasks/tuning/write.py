"""Writes the tuned config: the user's file with other values of some keys, and a comment on how they were found."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from varjepa.amounts import figure
from varjepa.config import RetrainConfig, as_flat
from varjepa.config.edited import commented, edited_yaml
from varjepa.config.load import PATH_KEYS, override_values
from varjepa.config.uris import beside
from varjepa.config.yaml_text import read_text, read_yaml
from varjepa.tasks.answers.studies import TuneAnswer
from varjepa.tasks.steps.files import write_text
from varjepa.tasks.tracking.runs import log_artifacts
from varjepa.tasks.tuning.compare import LOSSES

WIDTH = 116
"""Characters of a line of the comment."""


def write_tuned(source: Path, out: Path, overrides: Sequence[str], answer: TuneAnswer, config: RetrainConfig) -> None:
    """Writes the tuned config, and stores it with the run of the search.

    Args:
        source: the user's file.
        out: the file to write.
        overrides: of the command line, which the job was tuned with; they become part of the file.
        answer: of the search.
        config: the job.
    """
    text = read_text(source, "configuration file")
    changes = _moved(source, out, text, overrides) | answer["best"]["settings"]
    write_text(out, commented(remarks(source, answer), edited_yaml(text, changes)))
    log_artifacts.fn(answer["run_id"], config.tracking, {"": out})


def remarks(source: Path, answer: TuneAnswer) -> list[str]:
    """How a tuned config was found, in lines of a comment."""
    trials, best, comparison = answer["trials"], answer["best"], answer["comparison"]
    pruned = sum(trial["state"] == "pruned" for trial in trials)
    found, own = (comparison["validation"][name] for name in ("tuned", "default"))
    loss = LOSSES[comparison["criterion"]].capitalize()
    changed = ", ".join(f"{key} from {best['before'][key]} to {value}" for key, value in best["settings"].items())
    sentences = [
        f"Tuned from {source.name} by `varjepa tune` on {time.strftime('%Y-%m-%d')}.",
        f"{len(trials)} trials, {pruned} of them pruned; the best is trial {best['trial']}.",
        f"Changed: {changed or 'nothing'}.",
        f"{loss} on validation rows: {figure(found, 5)}; with the settings before: {figure(own, 5)}.",
        comparison["sentence"],
    ]
    return [line for sentence in sentences for line in wrap(sentence, WIDTH, break_long_words=False)]


def _moved(source: Path, out: Path, text: str, overrides: Sequence[str]) -> dict[str, Any]:
    """The overrides, and paths that lead to the same files from the folder of `out`."""
    given, content, changes = override_values(overrides), read_yaml(text, str(source)), dict[str, Any]()
    for section, name in PATH_KEYS:
        key, written = f"{section}.{name}", (content.get(section) or {}).get(name)
        if key in given:
            changes[key] = _from(out, Path(), given[key])
        elif isinstance(written, str) and out.absolute().parent.resolve() != source.absolute().parent.resolve():
            changes[key] = _from(out, source.parent, written)
    return given | changes


def _from(file: Path, folder: Path, path: Any) -> Any:
    """A path relative to `folder`, as one relative to the folder of `file`."""
    if not isinstance(path, str):
        return path
    way = os.path.relpath(folder.resolve(), file.absolute().parent.resolve())
    return beside(Path(way), path)


def settings_before(config: RetrainConfig, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The job's own values of what a trial changes."""
    flat = as_flat(config)
    return {key: flat[key] for key in settings}
