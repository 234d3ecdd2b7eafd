"""The preset of `retrain --quick`: a first model within minutes, whatever the table."""

from typing import Any

from varjepa.config.edited import changed_content
from varjepa.config.load import as_flat, parse_config
from varjepa.config.retrain import RetrainConfig

QUICK: dict[str, int] = {
    "data.rows": 20_000,
    "training.max_epochs": 4,
    "training.eval_rows": 3000,
    "generator.max_steps": 150,
    "generator.assess_rows": 1000,
    "probe.max_rows": 10_000,
    "drift.reference_rows": 3000,
}
"""Key -> its largest number; smaller ones that a job gives stay."""


def quick_config(config: RetrainConfig) -> RetrainConfig:
    """The job with fewer rows, epochs and steps.

    Examples:
        >>> quick = quick_config(parse_config({"data": {"name": "sim"}, "training": {"max_epochs": 2}}))
        >>> quick.data.rows, quick.training.max_epochs, quick.generator.max_steps
        (20000, 2, 150)
    """
    flat = as_flat(config)
    changes: dict[str, Any] = {key: most for key, most in QUICK.items() if flat[key] is None or flat[key] > most}
    return parse_config(changed_content(config.model_dump(), changes))
