"""A damaged model is refused in words, or answers as it did: no traceback, no hang, no other answers in silence."""

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.property.fuzz.model_folders import damage, forget_manifest, labelled_table, trained
from tests.property.fuzz.trials import Hang, report, seeds, within
from varjepa.errors import ModelError
from varjepa.inference.storage import load_model, save_model

KINDS = (("class", "linear"), ("class", "boosted"), ("class", "forest"), ("value", "boosted"), ("value", "mlp"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, pl.DataFrame]]:
    """Folders of models with heads of all kinds, and what they say of some rows."""
    found = []
    for number, (label, head) in enumerate(KINDS):
        folder = tmp_path_factory.mktemp("models") / str(number)
        save_model(folder, trained(label, head))
        found.append((folder, answers(folder)))
    return found


def answers(folder: Path) -> pl.DataFrame:
    """Predictions, anomalies and filled gaps of some rows."""
    model, rows = load_model(folder, "cpu"), labelled_table(8, 9)
    model.require_trees()
    filled = model.impute(rows).filled.select(pl.all().name.prefix("filled."))
    return pl.concat([model.predict(rows), model.anomalies(rows), filled], how="horizontal")


def outcome(folder: Path, before: pl.DataFrame) -> str:
    """What came of a damaged folder: refused, the same answers, or others."""
    try:
        with within(60):
            after = answers(folder)
    except ModelError:
        return "refused"
    try:
        assert_frame_equal(after, before, rel_tol=1e-6)
    except AssertionError:
        return "other answers"
    return "the same answers"


def trials(
    models: list[tuple[Path, pl.DataFrame]], place: Path, small: int, large: int, *, manifest: bool
) -> Iterator[tuple[str, str]]:
    """Outcome and fault of each trial; tracebacks and hangs are outcomes, too."""
    for seed in seeds(small, large):
        draw = random.Random(seed)
        original, before = draw.choice(models)
        shutil.rmtree(place, ignore_errors=True)
        folder = Path(shutil.copytree(original, place / "model"))
        if not manifest:
            forget_manifest(folder)
        fault = damage(draw, folder)
        try:
            yield outcome(folder, before), f"{seed}, {original.name}, {fault}"
        except (Exception, Hang) as error:  # noqa: BLE001 (that is what is looked for)
            yield "fault", f"{seed}, {original.name}, {fault}: {type(error).__name__}: {str(error)[:600]}"


@pytest.mark.slow
def test_a_damaged_model_is_refused_or_answers_as_it_did(
    models: list[tuple[Path, pl.DataFrame]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = list(trials(models, tmp_path / "damaged", 30, 300, manifest=True))
    wrong = [fault for what, fault in found if what not in ("refused", "the same answers")]
    report(capsys, "model folders", Counter(what for what, _ in found), wrong)


@pytest.mark.slow
def test_a_damaged_model_without_a_manifest_never_ends_in_a_traceback(
    models: list[tuple[Path, pl.DataFrame]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody can tell another weight from the right one there: other answers are counted, and no fault."""
    found = list(trials(models, tmp_path / "damaged", 30, 300, manifest=False))
    wrong = [fault for what, fault in found if what == "fault"]
    report(capsys, "model folders without a manifest", Counter(what for what, _ in found), wrong)
