"""How often the guarantee of a certificate fails, over many random splits of held-out rows into calibration and test.

    python benchmarks/certificate.py MODEL DATA [--splits 300] [--tracking-uri URI]

MODEL is given as for `varjepa score`. DATA is the file that it was trained on; only the calibration and test parts are
used. Prints one JSON object.
"""

import argparse
import json

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varjepa.data.encode.features import LABEL
from varjepa.data.read.sources import open_source
from varjepa.data.read.splits import PART, assign_parts
from varjepa.evaluation.uncertainty.certificate import RankedRows, certify
from varjepa.inference.model import TrainedModel
from varjepa.tasks.registry.open_model import open_model

Floats = NDArray[np.float64]


def held_out(model: TrainedModel, path: str) -> tuple[Floats, NDArray[np.bool_], NDArray[np.str_]]:
    """Shipped uncertainty, correctness and part of every labelled row that is not a training row."""
    data = model.config.data.model_copy(update={"path": path})
    frame = open_source(data).frame.rename(data.rename, strict=False).collect()
    frame = frame.with_columns(assign_parts(frame.lazy(), data.split)).filter(pl.col(PART) != "train")
    label = model.preprocessor.encode(frame.lazy(), keep=(PART,), with_label=True).select(LABEL).collect().to_series()
    frame, label = frame.filter(label.is_not_null()), label.drop_nulls()
    predicted = model.predict(frame)
    assert model.preprocessor.label is not None
    # A class that training has not seen has no name here: every prediction of it is wrong.
    classes = pl.Series([*model.preprocessor.label.classes, None], dtype=pl.String)
    correct = predicted["prediction"].eq_missing(classes.gather(label.cast(pl.UInt32)))
    return predicted["uncertainty"].to_numpy(), correct.to_numpy(), frame[PART].cast(pl.String).to_numpy()


def main() -> None:
    """Parses the arguments, certifies on every split, prints the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--splits", type=int, default=300)
    parser.add_argument("--tracking-uri")
    words = parser.parse_args()
    model = open_model(words.model, words.tracking_uri)
    uncertainty, correct, part = held_out(model, words.data)
    pool, validation = np.flatnonzero(part != "validation"), np.flatnonzero(part == "validation")
    size, section = int((part == "calibration").sum()), model.config.uncertainty
    broken, none, kept = 0, 0, []
    for split in range(words.splits):
        order = np.random.default_rng(split).permutation(pool)
        held, rest = order[:size], order[size:]
        calibration, other = (RankedRows(uncertainty[rows], correct[rows]) for rows in (held, validation))
        certificate = certify(calibration, other, accuracy=section.accuracy, confidence=section.confidence)
        accept = uncertainty[rest] <= (-np.inf if certificate.threshold is None else certificate.threshold)
        none += certificate.threshold is None
        broken += bool(accept.any()) and correct[rest][accept].mean() < section.accuracy
        kept.append(accept.mean())
    print(json.dumps({
        "splits": words.splits, "calibration_rows": size, "test_rows": len(pool) - size,
        "accuracy": section.accuracy, "confidence": section.confidence, "broken": broken / words.splits,
        "without_certificate": none / words.splits, "mean_coverage": round(float(np.mean(kept)), 4),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
