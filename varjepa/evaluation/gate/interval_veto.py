"""The veto on calibration for numbers: whether a challenger's intervals hold the label less often than they say."""

from collections.abc import Iterator

import numpy as np

from varjepa.amounts import share
from varjepa.config.operations import GateSection
from varjepa.evaluation.gate.evidence import Evidence
from varjepa.evaluation.gate.paired_tests import shown_above
from varjepa.evaluation.gate.veto import Veto
from varjepa.evaluation.uncertainty.error_share import ClusterErrors, p_too_many_errors


def interval_calibration(challenger: Evidence, champion: Evidence, section: GateSection) -> Iterator[Veto]:
    """Fires where coverage is below the promise by more than the margin, and beyond chance.

    If rows have changed, no model keeps its promise. So the challenger's intervals also have to hold fewer labels than
    the champion's, by more than the margin. Where the champion has none, the promise itself is tested.
    """
    margin, covered = section.calibration_margin, challenger.covered
    if margin is None or covered is None or len(covered) < section.min_rows:
        return
    held = float(covered.mean())
    if challenger.promised - held <= margin:
        return
    words = f"the intervals hold {share(held)} of the labels, promised are {share(challenger.promised)}"
    if champion.covered is None:
        # Too few labels inside are what too few errors are to a certificate: the same test, of labels inside.
        counts = ClusterErrors.of(covered, challenger.clusters)
        least = max(challenger.promised - margin, 1e-9)
        if p_too_many_errors(counts, least, int(counts.rows.max())) <= section.risk:
            yield Veto("calibration", f"{words}, allowed are {margin:g} less")
        return
    pairs = challenger.compared(covered.astype(np.float64), champion.covered.astype(np.float64), bound=1.0).pairs
    if -pairs.mean > margin and shown_above(pairs.reversed(), 0.0, section.risk):
        theirs = float(champion.covered.mean())
        yield Veto("calibration", f"{words}; the champion's hold {share(theirs)}, allowed are {margin:g} less")
