"""How often stated guarantees are broken, on simulated rows of which the truth is known.

    python -m benchmarks.promises [--trials 400] [--out FOLDER]

Certificates, intervals, the choice of an uncertainty measure and drift alarms, with rows that are independent, come in
clusters, have copies, or are of classes that training has not seen. "Before" is the same with rows that are taken for
independent, ties in the order of the file, or rows of new classes left out. The gate's error rates are simulated by
`benchmarks.gate`. Prints a table and writes results/promises.json. Ten minutes of one core.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy.stats import binomtest, norm

from benchmarks.harness import RESULTS, facts
from benchmarks.simulated_rows import columns_of_customers, error_share, ranked_rows
from varjepa.config.operations import DriftSection
from varjepa.evaluation.arrays import Floats, Ints
from varjepa.evaluation.drift.tests import find_drift
from varjepa.evaluation.uncertainty.certificate import RankedRows, certify
from varjepa.evaluation.uncertainty.compare_measures import MEASURE, choose
from varjepa.evaluation.uncertainty.intervals import classification_intervals
from varjepa.evaluation.uncertainty.metrics import Classified

ACCURACY, CONFIDENCE = 0.95, 0.9
STRICT = DriftSection(smallest_effect=0.0, smallest_share=0.0)
"""Nothing but the p-values keeps alarms away."""


@dataclass(frozen=True)
class Promise:
    """One guarantee under one condition.

    Attributes:
        promise: in words.
        condition: in words.
        stated: largest share of trials that may break it.
        trials: number of trials.
        broken: share of trials that broke it.
        low: lower end of the 95% interval of that share.
        high: upper end.
        before: share of the same trials that the earlier method broke; None where nothing has changed.
        besides: another figure of the same trials, in words.
    """

    promise: str
    condition: str
    stated: float
    trials: int
    broken: float
    low: float
    high: float
    before: float | None = None
    besides: str = ""

    @property
    def line(self) -> str:
        """A line of a Markdown table."""
        before = "" if self.before is None else f", before {self.before:.1%}"
        measured = (
            f"broken in {self.broken:.1%} ({self.low:.1%} to {self.high:.1%}) of {self.trials}, stated "
            f"{self.stated:.0%}{before}{self.besides and f'; {self.besides}'}"
        )
        return f"| {self.promise} | {self.condition} | {measured} |"


def counted(
    promise: str,
    condition: str,
    broken: list[bool],
    before: list[bool] | None = None,
    *,
    stated: float,
    besides: str = "",
) -> Promise:
    """Shares of trials, with an interval."""
    interval = binomtest(sum(broken), len(broken)).proportion_ci()
    share = None if before is None else float(np.mean(before))
    return Promise(
        promise, condition, stated, len(broken), float(np.mean(broken)), interval.low, interval.high, share, besides
    )


Draw = Callable[[np.random.Generator], RankedRows]


def _certified(calibration: RankedRows, other: RankedRows, truth: Callable[[float], float]) -> tuple[bool, float]:
    """Whether a certificate is broken, and the share of rows that it accepts."""
    certificate = certify(calibration, other, accuracy=ACCURACY, confidence=CONFIDENCE)
    threshold = certificate.threshold
    return threshold is not None and truth(threshold) > 1 - ACCURACY, certificate.coverage


def certificates(trials: int) -> Iterator[Promise]:
    """Certificates of 95% accuracy with 90% confidence."""
    promise = "95% of accepted rows are right, with 90% confidence"
    draws: dict[str, Callable[[np.random.Generator], Ints]] = {
        "1,000 independent rows": lambda _: np.ones(1000, dtype=int),
        "500 customers with 5 rows": lambda _: np.full(500, 5),
        "200 customers with 5 rows": lambda _: np.full(200, 5),
        "500 customers with 20 rows": lambda _: np.full(500, 20),
        "150 customers with 20 rows": lambda _: np.full(150, 20),
        "3,000 rows, 1% of them twice or three times": lambda rng: np.where(
            rng.random(3000) < 0.01, rng.integers(2, 4, 3000), 1
        ),
        "2,000 customers with 5 rows on average (geometric)": lambda rng: rng.geometric(0.2, 2000),
    }
    for condition, sizes in draws.items():
        now, before = [], []
        for trial in range(trials):
            rng = np.random.default_rng([trial, 1])
            calibration, other = (ranked_rows(sizes(rng), 0.8, rng) for _ in range(2))
            now.append(_certified(calibration, other, error_share))
            alone = [rows._replace(clusters=None) for rows in (calibration, other)]
            before.append(_certified(alone[0], alone[1], error_share))
        accepted = f"accepted {np.mean([share for _, share in now]):.0%}, before {np.mean([s for _, s in before]):.0%}"
        yield counted(promise, condition, [b for b, _ in now], [b for b, _ in before], stated=0.1, besides=accepted)
    for name, share in (("a fifth", 0.2), ("1 in 200", 0.005)):
        now, before = [], []
        for trial in range(trials):
            rng = np.random.default_rng([trial, 2])
            parts = [ranked_rows(np.ones(2000, dtype=int), 0.0, rng) for _ in range(2)]
            new = [rng.random(2000) < share for _ in parts]

            def truth(threshold: float, share: float = share) -> float:
                return share + (1 - share) * error_share(threshold)

            failed = [rows._replace(correct=rows.correct & ~unseen) for rows, unseen in zip(parts, new, strict=True)]
            known = [
                RankedRows(rows.uncertainty[~unseen], rows.correct[~unseen])
                for rows, unseen in zip(parts, new, strict=True)
            ]
            now.append(_certified(failed[0], failed[1], truth))
            before.append(_certified(known[0], known[1], truth))
        condition = f"2,000 rows, {name} of a class that training has not seen"
        yield counted(promise, condition, [b for b, _ in now], [b for b, _ in before], stated=0.1)


def intervals(trials: int) -> Iterator[Promise]:
    """95% intervals of accuracy and balanced accuracy."""
    for size in (1, 5, 20):
        missed: dict[str, list[bool]] = {name: [] for name in ("accuracy", "balanced_accuracy")}
        before: dict[str, list[bool]] = {name: [] for name in missed}
        clusters = np.repeat(np.arange(100), size)
        for trial in range(trials):
            rng = np.random.default_rng([trial, size, 3])
            score = np.sqrt(0.4) * rng.normal(size=100)[clusters] + np.sqrt(0.6) * rng.normal(size=100 * size)
            labels = rng.integers(2, size=len(score))
            predicted = np.where(score < norm.ppf(0.8), labels, 1 - labels)
            result = Classified(np.eye(2)[predicted], labels)
            for known, out in ((clusters, missed), (None, before)):
                found = classification_intervals(result, clusters=known, resamples=400, seed=trial)
                for name, values in out.items():
                    values.append(not found[name].low <= 0.8 <= found[name].high)
        for name, values in missed.items():
            words = f"95% interval of {name.replace('_', ' ')}"
            yield counted(words, f"100 customers with {size} rows", values, before[name], stated=0.05)


def choices(trials: int) -> Iterator[Promise]:
    """The uncertainty measure that ships."""
    promise = "another measure ships only if it is better (95%)"
    for rows in (100, 1000):
        wrong = []
        for trial in range(trials):
            rng = np.random.default_rng([trial, rows, 4])
            error = rng.random(rows) < 0.2
            names: tuple[MEASURE, ...] = (
                "max_probability", "entropy", "ensemble", "distance", "surprise", "scale_mean", "scale_p90",
            )  # fmt: skip
            measures: dict[MEASURE, Floats] = {name: 1.5 * error + rng.normal(size=rows) for name in names}
            wrong.append(choose(measures, error, seed=trial)[0] != "max_probability")
        yield counted(promise, f"{rows:,} rows, 7 measures that rank equally well", wrong, stated=0.05)
    chosen = []
    for trial in range(trials):
        rng = np.random.default_rng([trial, 5])
        error = np.arange(500) >= 400
        constant: dict[MEASURE, Floats] = {"max_probability": rng.random(500), "entropy": np.zeros(500)}
        chosen.append(choose(constant, error, seed=trial)[0] != "max_probability")
    yield counted(promise, "500 rows, the right ones first; a measure that is the same for all", chosen, stated=0.05)


def alarms(trials: int) -> Iterator[Promise]:
    """Drift of unchanged rows."""
    for size, likeness in ((1, 0.0), (5, 0.3), (5, 1.0), (20, 0.1), (20, 0.3), (20, 1.0)):

        def alarmed(trial: int, *, independent: bool, size: int = size, likeness: float = likeness) -> bool:
            subjects = columns_of_customers(size, likeness, trial, independent=independent)
            return any(finding.verdict == "drift" for finding in find_drift(subjects, STRICT))

        now, before = (
            [*map(partial(alarmed, independent=independent), range(trials))] for independent in (False, True)
        )
        condition = f"300 and 200 customers with {size} rows that are alike by {likeness}"
        yield counted("at most 5% of unchanged batches are called drift", condition, now, before, stated=0.05)


def main() -> None:
    """Parses the arguments, simulates, prints the table and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--out", type=Path, default=RESULTS)
    words = parser.parse_args()
    promises = []
    for part in (certificates, intervals, choices, alarms):
        for found in part(words.trials):
            print(found.line, flush=True)
            promises.append(asdict(found))
    words.out.mkdir(parents=True, exist_ok=True)
    content = facts() | {"command": "python -m benchmarks.promises", "promises": promises}
    (words.out / "promises.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
