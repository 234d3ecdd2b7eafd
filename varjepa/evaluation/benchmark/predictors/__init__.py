"""The downstream predictors of the benchmark, on raw features or on embeddings."""

from varjepa.evaluation.benchmark.predictors.fit import fit_predictors
from varjepa.evaluation.benchmark.predictors.inputs import Inputs, embedding_inputs, raw_inputs
from varjepa.evaluation.benchmark.predictors.problem import Fitted

__all__ = ["Fitted", "Inputs", "embedding_inputs", "fit_predictors", "raw_inputs"]
