"""Judges recorded duels of a benchmark together, where no outputs of the rows exist any more.

    python -m benchmarks.recorded_duels docs/benchmark-duels.csv

Reports write p-values from the rows (`varjepa.evaluation.uncertainty.paired_bootstrap`). For duels that were recorded
without them, the width of the 95% interval gives the standard error of the difference, and the normal distribution a
two-sided p-value. Holm's correction over all duels of the file gives the outcomes. The file is rewritten.
"""

import csv
import sys
from pathlib import Path

from scipy.stats import norm

from varjepa.evaluation.benchmark.tables import outcome
from varjepa.evaluation.holm import holm
from varjepa.tasks.reports.page import write_csv
from varjepa.tasks.studies.benchmark_report import DUEL_HEADER


def p_from_interval(difference: float, low: float, high: float) -> float:
    """Two-sided p-value of no difference, from a 95% interval.

    Examples:
        >>> round(p_from_interval(1.96, 0.0, 3.92), 3)
        0.05
    """
    error = (high - low) / (2 * float(norm.isf(0.025)))
    return float(2 * norm.sf(abs(difference) / error))


def main(path: Path) -> None:
    """Adds p-values, adjusted p-values and outcomes."""
    with path.open() as file:
        duels = list(csv.DictReader(file))
    p_values = [p_from_interval(*(float(duel[name]) for name in ("difference", "low", "high"))) for duel in duels]
    for duel, p, adjusted in zip(duels, p_values, holm(p_values), strict=True):
        judged = outcome(float(duel["difference"]), adjusted)
        duel |= {"p": f"{p:.2g}", "adjusted": f"{adjusted:.2g}", "outcome": judged}
    write_csv(path, DUEL_HEADER, ([duel[name] for name in DUEL_HEADER] for duel in duels))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
