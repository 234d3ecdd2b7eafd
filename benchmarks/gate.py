"""What the promotion gate accepts and refuses, in simulations and on Adult.

    python -m benchmarks.gate                  # the simulations alone
    python -m benchmarks.gate adult.csv.gz     # and on Adult

Simulations: see `benchmarks.gate_simulated`. On Adult, trains small models in a temporary folder with a separate
registry.

- Equal challengers: pairs of linear probes on one embedding, each fitted on a resample of the training rows, and pairs
  of whole models that differ in their seed. The two models of a pair are interchangeable.
- Worse challengers: the same, with some right answers turned into wrong ones.
Bad ones: trained on shuffled rows, trained to collapse, and good on average but taught wrong about a subgroup. Prints a
table and writes results/gate.json.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import yaml

from benchmarks.gate_simulated import simulated
from benchmarks.harness import RESULTS, Figure, facts
from varjepa.config import DataSection, SplitSection, load_config
from varjepa.config.operations import GateSection
from varjepa.data.read.sources import open_path
from varjepa.data.read.splits import assign_parts
from varjepa.evaluation.gate.evidence import Evidence
from varjepa.evaluation.gate.verdict import Verdict, judge
from varjepa.evaluation.probe import LinearProbe, fit_probe
from varjepa.models.embedding import embed

ROWS, PAIRS, SEEDS, FITTED = 20_000, 200, 5, 4000
LEARNED = ("train", "validation", "calibration")
SUBGROUPS = ("sex", "race")
GATE = {"subgroups": list(SUBGROUPS), "latency_ratio": None}  # nothing is timed while other work goes on
TELLING = ("age", "education", "education-num", "marital-status", "occupation", "relationship", "capital-gain",
           "capital-loss", "hours-per-week")  # fmt: skip
COLLAPSE = {"weight_rec": 0.0, "weight_gen": 0.0} | {
    f"{term}_{key}": value
    for term in ("kl_sx", "kl_z", "kl_sy")
    for key, value in (("final", 1.0), ("anneal_epochs", 0.0))
}
JOB: dict[str, Any] = {
    "data": {"label": "income", "split": {"by": "column", "column": "part"}},
    "model": {"d_hidden": 16, "n_layers": 2, "n_heads": 2, "d_feedforward": 32, "pred_d": 8, "pred_n_layers": 1,
              "pred_n_heads": 2, "pred_d_feedforward": 16},
    "training": {"max_epochs": 3, "batch_size": 256, "lr": 3.0e-3, "warmup_epochs": 0.3},
    "generator": {"n_layers": 0},
    "gate": GATE,
}  # fmt: skip


def table_of(path: str) -> pl.DataFrame:
    """Rows of Adult, each with its part by a hash of its cells."""
    frame = open_path(path, DataSection(path=path)).frame.head(ROWS).collect()
    parts = assign_parts(frame.lazy(), SplitSection(by="hash"))
    return frame.with_columns(parts.cast(pl.String).alias("part"))


def shuffled(table: pl.DataFrame, columns: Iterator[str] | list[str], parts: tuple[str, ...]) -> pl.DataFrame:
    """Shuffles these columns within these parts, each column separately."""
    rng, rows = np.random.default_rng(0), table["part"].is_in(parts).to_numpy()
    for name in columns:
        order = np.arange(len(rows))
        order[rows] = rng.permutation(order[rows])
        table = table.with_columns(table[name].gather(order))
    return table


def retrained(table: pl.DataFrame, name: str, **sections: dict[str, Any]) -> dict[str, Any]:
    """Retrains on a table in this folder; returns what `retrain --json` prints."""
    from varjepa.flows.retrain import retrain

    job = {key: dict(value) for key, value in JOB.items()} | {"registry": {"name": name}}
    for key, section in sections.items():
        job[key] = job.get(key, {}) | section
    table.write_parquet("rows.parquet")
    job["data"]["path"] = "rows.parquet"
    Path("job.yaml").write_text(yaml.safe_dump(job), encoding="utf-8")
    return dict(retrain(load_config("job.yaml", ())))


def bad_ones(table: pl.DataFrame) -> dict[str, str]:
    """Challengers that must be refused, and the decision of the gate about each."""
    features = [name for name in table.columns if name != "part"]
    black = (pl.col("race") == "Black") & pl.col("part").is_in(LEARNED)
    taught = table.with_columns(pl.when(black).then(pl.lit(">50K")).otherwise("income").alias("income"))
    retrained(shuffled(table, list(TELLING), LEARNED), "weak")
    made = {
        "trained on shuffled rows": retrained(shuffled(table, features, LEARNED), "adult"),
        "all rows shuffled, those of the test too": retrained(shuffled(table, features, (*LEARNED, "test")), "adult"),
        "collapsed": retrained(table, "adult", objective=COLLAPSE, training={"max_epochs": 6, "selection": "elbo"}),
        "better than a weak champion, wrong about a subgroup": retrained(taught, "weak"),
    }
    for name, answer in made.items():
        assert not answer["promoted"], f"{name}: {answer['reason']}"
    return {name: answer["reason"] for name, answer in made.items()}


def evidence(probe: LinearProbe, x: torch.Tensor, labels: torch.Tensor) -> Evidence:
    """Evidence of a probe on the test rows."""
    chances = probe.predict(x).double().softmax(1).numpy()
    correct, confidence = chances.argmax(1) == labels.numpy(), chances.max(1)
    return Evidence(correct.astype(np.float64), confidence, correct, 1 - confidence, active_units=9, dimensions=9,
                    rankme=9.0)  # fmt: skip


def probes(table: pl.DataFrame) -> tuple[list[Evidence], pl.DataFrame]:
    """Pairs of probes on the champion's embedding, each fitted on a resample of training rows, and evaluated on test
    rows.
    """
    from varjepa.tasks.registry.open_model import open_model

    model, rng = open_model("models:/adult/1", None, "cpu"), np.random.default_rng(1)
    assert model.preprocessor.label is not None
    classes = pl.Enum(model.preprocessor.label.classes)
    parts = [table.filter(pl.col("part") == part) for part in ("train", "test")]
    embedded = [embed(model.network, model.encode(part)).mean.flatten(1) for part in parts]
    labels = [
        torch.from_numpy(part["income"].cast(classes).to_physical().to_numpy().astype(np.int64)) for part in parts
    ]
    found = []
    for _ in range(2 * PAIRS):
        picks = torch.from_numpy(rng.integers(len(labels[0]), size=FITTED))
        probe = fit_probe(embedded[0][picks], labels[0][picks], n_classes=2, l2=1e-2, max_iterations=50)
        found.append(evidence(probe, embedded[1], labels[1]))
    return found, parts[1]


def by_seed(table: pl.DataFrame) -> list[Evidence]:
    """Whole models that differ in their seed, on the test rows."""
    from varjepa.inference.gate_evidence import gather
    from varjepa.tasks.registry.open_model import open_model

    test = table.filter(pl.col("part") == "test")
    found = []
    for seed in range(SEEDS):
        answer = retrained(table, f"seed-{seed}", training={"seed": seed})
        model = open_model(answer["model"]["uri"], None, "cpu")
        found.append(gather(model, test, "accuracy", model))
    return found


def spoiled(one: Evidence, share: float, rng: np.random.Generator) -> Evidence:
    """Accuracy lower by `share`: some right answers become wrong."""
    assert one.goodness is not None
    wrong = rng.random(len(one.goodness)) < share / one.goodness.mean()
    return Evidence(np.where(wrong, 0.0, one.goodness), active_units=9, dimensions=9, rankme=9.0)


def rates(name: str, verdicts: list[Verdict], asked: str = "") -> list[Figure]:
    """Shares of the outcomes of comparisons."""
    outcomes = ("better", "not worse", "undecided", "worse")
    counts = {outcome: np.mean([verdict.outcome == outcome for verdict in verdicts]) for outcome in outcomes}
    figures = [Figure(f"{name}: called {outcome}", float(share), "share", asked=asked if outcome == "better" else "")
               for outcome, share in counts.items()]  # fmt: skip
    return [
        *figures,
        Figure(f"{name}: refused by a veto", float(np.mean([bool(verdict.vetoes) for verdict in verdicts])), "share"),
        Figure(f"{name}: promoted", float(np.mean([verdict.promote for verdict in verdicts])), "share"),
    ]


def run(path: str) -> tuple[list[Figure], dict[str, str]]:
    """Shares over simulated comparisons, and the reasons for refusing the bad challengers."""
    table = table_of(path)
    first = retrained(table, "adult")
    refused = bad_ones(table)
    found, test = probes(table)
    assert found[0].goodness is not None
    section, rng = GateSection(subgroups=SUBGROUPS), np.random.default_rng(2)
    groups = {
        f"{name} {value}": (test[name] == value).to_numpy()
        for name in ("income", *SUBGROUPS)
        for value in test[name].drop_nulls().unique().sort()
    }
    pairs = list(zip(found[::2], found[1::2], strict=True))

    def meet(challenger: Evidence, champion: Evidence) -> Verdict:
        return judge(challenger, champion, metric="accuracy", groups=groups, section=section)

    figures = [Figure("champion: accuracy on test rows", first["metrics"]["probe/accuracy"], "share"),
               Figure("test rows", float(test.height), "rows")]  # fmt: skip
    figures += rates(f"{PAIRS} equal pairs of probes", [meet(*pair) for pair in pairs], "at most 0.1 called better")
    seeds = [meet(*pair) for pair in permutations(by_seed(table), 2)]
    figures += rates(f"{len(seeds)} pairs of models by seed", seeds)
    for worse in (0.01, 0.02, 0.03):
        met = [meet(spoiled(first, worse, rng), second) for first, second in pairs]
        promoted = float(np.mean([verdict.promote for verdict in met]))
        figures.append(Figure(f"{PAIRS} challengers worse by {worse:.0%} of all rows: promoted", promoted, "share"))
    return figures, refused


def on_adult(path: str) -> dict[str, Any]:
    """Runs in a temporary folder, prints the figures and returns them."""
    from prefect.testing.utilities import prefect_test_harness

    with tempfile.TemporaryDirectory() as folder, prefect_test_harness(server_startup_timeout=120):
        home = Path.cwd()
        os.chdir(folder)
        try:
            figures, refused = run(path)
        finally:
            os.chdir(home)
    width = max(len(figure.what) for figure in figures)
    for figure in figures:
        print(f"{figure.what:{width}}  {figure.value:>9,.4g} {figure.unit}   {figure.asked}")
    for name, reason in refused.items():
        print(f"\n{name}\n  " + reason.replace("; ", "\n  "))
    return {"command": "python -m benchmarks.gate adult.csv.gz", "rows": ROWS, "settings": JOB,
            "figures": [asdict(figure) for figure in figures], "refused": refused}  # fmt: skip


def main() -> None:
    """Parses the arguments, runs, prints and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", help="CSV file of Adult; without it, the results on Adult are kept")
    path, results = parser.parse_args().data, RESULTS / "gate.json"
    rates = simulated()
    for one in rates:
        print(f"{one['condition']:70} {one['rows']:>6,} rows  {one['what']:22} {one['share']:.1%} {one['stated']}")
    before = json.loads(results.read_text(encoding="utf-8")) if path is None else on_adult(str(Path(path).absolute()))
    content = before | facts() | {"simulated": rates}
    results.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
