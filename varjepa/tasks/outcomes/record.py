"""An evaluation as metrics of a run and as plain data."""

from varjepa.evaluation.outcomes import Promise
from varjepa.tasks.answers.drift import PromiseAnswer
from varjepa.tasks.outcomes.evaluate import Evaluation


def evaluation_metrics(evaluation: Evaluation) -> dict[str, float]:
    """Metrics of a run: `evaluate/...`, and of each promise `evaluate/NAME_promised` and `_measured`."""
    metrics = {f"evaluate/{name}": value for name, value in evaluation.metrics.items()}
    metrics["evaluate/rows"] = float(evaluation.rows)
    for promise in evaluation.promises:
        metrics |= {
            f"evaluate/{promise.name}_promised": promise.promised,
            f"evaluate/{promise.name}_measured": promise.measured,
        }
    if evaluation.estimate is not None:
        ends = {"low": evaluation.estimate.low, "high": evaluation.estimate.high}
        metrics |= {f"evaluate/estimate_{end}": value for end, value in ends.items()}
    return metrics


def evaluation_tags(evaluation: Evaluation) -> dict[str, str]:
    """Tags of a run."""
    words = "; ".join(promise.sentence for promise in evaluation.promises)
    return {
        "varjepa.model": evaluation.question.model, "varjepa.labelled": evaluation.question.labelled,
        "mlflow.note.content": words or "The model makes no promise about these rows.",
    }  # fmt: skip


def promise_answer(promise: Promise) -> PromiseAnswer:
    """A promise as plain data."""
    return {
        "name": promise.name, "promised": promise.promised, "measured": promise.measured, "low": promise.low,
        "high": promise.high, "rows": promise.rows, "verdict": promise.verdict, "says": promise.sentence,
    }  # fmt: skip
