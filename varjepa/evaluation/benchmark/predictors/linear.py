"""Linear models of scikit-learn: logistic or ridge regression on numbers."""

from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor

MOST_STEPS = 500
"""Of the solver; what it has reached by then is used."""


def linear_model(n_classes: int, strength: float) -> Any:
    """An unfitted model.

    Args:
        n_classes: C, or 0 for regression.
        strength: inverse of the penalty, as `C` of scikit-learn.
    """
    return LogisticRegression(C=strength, max_iter=MOST_STEPS) if n_classes else Ridge(alpha=1 / strength)


def outputs_of(model: Any, x: Any, n_classes: int) -> Tensor:
    """What a fitted model of scikit-learn says: probabilities [N, C], 0 for a class without training rows, or [N, 1].

    Args:
        model: fitted to class numbers or values.
        x: rows.
        n_classes: C, or 0 for regression.
    """
    if not n_classes:
        return torch.as_tensor(np.asarray(model.predict(x)), dtype=torch.float32).view(-1, 1)
    known = torch.as_tensor(np.asarray(model.predict_proba(x)), dtype=torch.float32)
    return torch.zeros(len(known), n_classes).index_copy_(1, torch.as_tensor(model.classes_).long(), known)
