"""Intervals on the diabetes table of scikit-learn, fitted again on every one of 50 random splits.

    python -m benchmarks.sets_diabetes [--splits 50] [--out FOLDER]

Without a network: the head is linear on raw columns. 442 rows are split 60/10/10/20 as in a retrain.
"""

import argparse
from pathlib import Path

import numpy as np
import polars as pl
import torch
from sklearn.datasets import load_diabetes

from benchmarks.harness import RESULTS, Figure, publish
from varjepa.config.data import DataSection, PreprocessSection
from varjepa.config.heads import ProbeSection
from varjepa.data.encode.tensors import to_tensors
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.evaluation.uncertainty.predictive import Arms, ValidationRows, choose_method, fit_rule
from varjepa.inference.heads.candidates import Fitting
from varjepa.inference.heads.inputs import HeadRows
from varjepa.inference.heads.labelled import HeadData
from varjepa.inference.intervals import fit_intervals

LEVEL, LABEL = 0.9, "target"


def one_split(frame: pl.DataFrame, seed: int) -> dict[str, float]:
    """Coverage and width of the intervals that are chosen, and of plain split conformal ones, on test rows."""
    order = np.random.default_rng(seed).permutation(frame.height)
    cuts = np.cumsum([round(0.6 * frame.height), *[round(0.1 * frame.height)] * 2])
    parts = [frame[rows.tolist()] for rows in np.split(order, cuts)]
    preprocessor = fit(parts[0].lazy(), DataSection(name="diabetes", label=LABEL), PreprocessSection())
    data = []
    for part in parts:
        tensors = to_tensors(preprocessor.encode(part.lazy()).collect(), preprocessor)
        labels = torch.from_numpy(part[LABEL].to_numpy().copy())
        data.append(HeadData(HeadRows(torch.zeros(part.height, 1), tensors), labels))
    fitting = Fitting(data[0], data[1], preprocessor, 0, ProbeSection(), seed)
    head = fitting.head("linear", "raw")
    fitted = fit_intervals(fitting, head)
    predicted = [head.outputs(part.rows)[:, 0].numpy() for part in data]
    validation, calibration, test = (
        {method: fitted.maps(data[part].rows, predicted[part], method) for method in fitted.methods}
        for part in (1, 2, 3)
    )
    choice = choose_method(ValidationRows(validation, data[1].labels.numpy()), LEVEL)
    found: dict[str, float] = {}
    for name, wanted in (("chosen", choice), ("plain", ("split", Arms(), ""))):
        rule = fit_rule(wanted, calibration[wanted[0]], data[2].labels.numpy(), LEVEL)
        assert rule is not None
        low, high = rule.interval(test[wanted[0]])
        truth = data[3].labels.numpy()
        found |= {f"{name} coverage": float(((low <= truth) & (truth <= high)).mean())}
        found |= {f"{name} width": float((high - low).mean())}
    return found


def main() -> None:
    """Parses the arguments, splits, prints the table and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=50)
    parser.add_argument("--out", type=Path, default=RESULTS)
    words = parser.parse_args()
    frame = pl.from_pandas(load_diabetes(as_frame=True, scaled=False).frame)
    found = [one_split(frame, seed) for seed in range(words.splits)]
    means = {name: float(np.mean([each[name] for each in found])) for name in found[0]}
    asked = {"chosen coverage": "0.88 to 0.92", "chosen width": f"at most {means['plain width']:.4g}"}
    figures = [
        Figure(f"diabetes: {name}", round(value, 4), "", asked=asked.get(name, "")) for name, value in means.items()
    ]
    publish("sets_diabetes", figures, words.out, command="python -m benchmarks.sets_diabetes")


if __name__ == "__main__":
    main()
