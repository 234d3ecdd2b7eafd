"""Step 6b: where labels are few, what the embedding is worth beside raw columns with as few of them."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
from torch import Tensor

from varjepa import plots
from varjepa.config import RetrainConfig
from varjepa.data.encode.encoded import Part, count_rows, read_sample
from varjepa.data.encode.features import LABEL
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.read.splits import PART
from varjepa.evaluation.bootstrap import cluster_numbers
from varjepa.evaluation.label_curves import Goodness, Point, gaps, points, verdicts
from varjepa.inference.few_labels import label_goodness
from varjepa.inference.heads.inputs import Components, HeadRows
from varjepa.inference.heads.labelled import HeadData
from varjepa.inference.kept_embeddings import Embedder
from varjepa.inference.probing import labelled_rows
from varjepa.tasks.reports.page import write_csv
from varjepa.tasks.retrain.embeddings import embedder_of
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.retrain.pretrain import Pretrained
from varjepa.tasks.retrain.probe import Probed
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.steps.reuse import Step, reuse

STEP = Step("few_labels", __name__, settings=("training.seed",))

FEW, FEW_SHARE = 1000, 0.1
"""Labels are few if fewer training rows have one, or a smaller share of them. Where most rows have a label the table is
small, and the embedding has learned from no more rows than the others."""

DRAWS = 3
"""Draws of labelled rows."""

MOST, MOST_TEST = 2000, 5000
"""At most so many labelled rows are fitted on, and so many test rows predicted: the curve should take seconds."""

TRAIN_ROWS, TEST_ROWS = "data/labelled_train_rows", "data/labelled_test_rows"
"""Metrics: training rows whose label can be learned, and test rows that every figure on the label rests on."""


@dataclass(frozen=True)
class Labelled:
    """How many rows have a label, and what the embedding is worth if they are few.

    Attributes:
        metrics: `TRAIN_ROWS` and `TEST_ROWS`; none without a label.
        folder: `labels.csv` and `labels.png`; None unless labels are few.
        facts: for the card, names and values; none unless labels are few.
    """

    metrics: dict[str, float]
    folder: Path | None
    facts: dict[str, str]


@task(name="few labels", task_run_name="count labels")
def count_labels(prepared: Prepared, pretrained: Pretrained, probed: Probed, config: RetrainConfig) -> Labelled:
    """Counts labelled rows; where they are few, draws accuracy or R2 over their number."""
    preprocessor = Preprocessor.read(prepared.preprocessor)
    if preprocessor.label is None:
        return Labelled({}, None, {})
    learnable = pl.scan_parquet(prepared.encoded).filter(
        (pl.col(PART) == "train") & preprocessor.label.can_predict(pl.col(LABEL))
    )
    known = int(learnable.select(pl.len()).collect(engine="streaming").item())
    tests = labelled_rows(pl.read_parquet(probed.predictions)).height
    counts = {TRAIN_ROWS: float(known), TEST_ROWS: float(tests)}
    if not are_few(known, count_rows(prepared.encoded, "train")) or min(known, tests) < 2:
        return Labelled(counts, None, {})
    folder = STEP.folder(config, str(pretrained.weights), str(probed.folder))
    return reuse(folder, Labelled, lambda: _curve(prepared, pretrained, config, folder, counts))


def are_few(labelled: int, rows: int) -> bool:
    """Whether labels are few.

    Args:
        labelled: training rows with a label.
        rows: all training rows.

    Examples:
        >>> are_few(200, 5000), are_few(200, 240), are_few(3000, 5000), are_few(3000, 100_000)
        (True, False, False, True)
    """
    return 2 * labelled < rows and (labelled < FEW or labelled < FEW_SHARE * rows)


def _curve(
    prepared: Prepared, pretrained: Pretrained, config: RetrainConfig, folder: Path, counts: dict[str, float]
) -> Labelled:
    preprocessor, seed = Preprocessor.read(prepared.preprocessor), config.training.seed
    network = pretrained.network(preprocessor, config)
    embedder = embedder_of(prepared, pretrained, config, network, "train", "test")

    def sampled(name: str, most: int, *, learnable: bool) -> Part:
        return read_sample(prepared.encoded, preprocessor, name, most=most, seed=seed, learnable=learnable).to(
            network.device
        )

    everything = _flat(embedder, sampled("train", MOST_TEST, learnable=False))
    train, test = sampled("train", MOST, learnable=True), sampled("test", MOST_TEST, learnable=True)
    labelled, tests = (
        HeadData(HeadRows(_flat(embedder, part), part.table), part.labels, part.clusters) for part in (train, test)
    )
    components, rows = Components.fit(everything, seed), len(train.labels)
    cells: dict[tuple[str, int], Goodness] = {
        ("test rows", count): label_goodness(
            labelled, tests, preprocessor, components, count=count, seeds=range(seed, seed + DRAWS)
        )
        for count in sorted({max(2, rows // 4), max(2, rows // 2), rows})
    }
    clusters = {"test rows": cluster_numbers(test.clusters)}
    found = points(cells, clusters)
    write_csv(folder / "labels.csv", Point._fields[1:], ([str(value) for value in point[1:]] for point in found))
    plots.label_curves_plot({"test rows": _lines(found)}).savefig(folder / "labels.png")
    verdict = verdicts(gaps(cells, clusters))["test rows", rows]
    facts = card_facts(found, f"{verdict}; {DRAWS} draws of labelled rows, {len(test.labels):,} labelled test rows")
    facts["labelled training rows"] = (
        f"{counts[TRAIN_ROWS]:,.0f} of {count_rows(prepared.encoded, 'train'):,}; all of them train the embedding"
    )
    log.info("few labels: with %d labelled rows, self-supervision %s", rows, facts["self-supervision"])
    return Labelled(counts, folder, facts)


def _flat(embedder: Embedder, part: Part) -> Tensor:
    return embedder(part.table, part.rows).mean.flatten(1)


def _lines(found: list[Point]) -> dict[str, list[tuple[int, float, float, float]]]:
    lines: dict[str, list[tuple[int, float, float, float]]] = {}
    for point in found:
        lines.setdefault(point.method, []).append((point.labels, point.mean, point.low, point.high))
    return lines


def card_facts(found: list[Point], verdict: str) -> dict[str, str]:
    """The curve as names and values for the card, the verdict last."""
    facts = dict[str, str]()
    for labels in dict.fromkeys(point.labels for point in found):
        shown = (f"{point.method} {point.mean:.3f} ({point.low:.3f} to {point.high:.3f})"
                 for point in found if point.labels == labels)  # fmt: skip
        facts[f"accuracy or R2 with {labels:,} labels"] = "; ".join(shown)
    return facts | {"self-supervision": verdict}
