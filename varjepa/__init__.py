"""Embeddings of table rows, learned without labels, that say how sure they are (Var-T-JEPA)."""

from typing import TYPE_CHECKING, Any

from varjepa.machine import set_up_threads

if TYPE_CHECKING:
    from varjepa.inference.estimator import VarTJEPA as VarTJEPA
    from varjepa.inference.predictors import VarTJEPAClassifier as VarTJEPAClassifier
    from varjepa.inference.predictors import VarTJEPARegressor as VarTJEPARegressor

__version__ = "0.1.0"

set_up_threads()


def __getattr__(name: str) -> Any:
    """The library's front door, opened when somebody asks: torch and scikit-learn take seconds to import."""
    if name == "VarTJEPA":
        from varjepa.inference.estimator import VarTJEPA

        return VarTJEPA
    if name in ("VarTJEPAClassifier", "VarTJEPARegressor"):
        from varjepa.inference import predictors

        return getattr(predictors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
