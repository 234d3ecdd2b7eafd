"""How well the ambiguity of SIM rows can be estimated at best: the Bayes posterior mean, given the whole generator.

    python benchmarks/sim_ceiling.py

Prototypes, blended columns, noise and the flipping of categories are taken as known. Unknown are the quantities that no
method can observe: class, other class and noise of a row. Prints one JSON object: the AUROC of finding the most
ambiguous rows, and the rank correlation with the ambiguity.
"""

import json

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from varjepa.data.read.sim_table import N_BINS, N_CATEGORICAL, N_CLASSES, N_NUMERIC, SEPARATION, sim_table

ROWS, SEED, GRID = 10_000, 0, np.linspace(0, 1, 61)


def main() -> None:
    """Computes the posterior on a grid of ambiguities."""
    table = sim_table(rows=ROWS, seed=SEED)
    x, ambiguity = table.select(f"x{j}" for j in range(N_NUMERIC)).to_numpy(), table["ambiguity"].to_numpy()
    # The generator's own draws, in its order, as far as the prototypes and the columns that are blended twice.
    rng = np.random.default_rng([SEED, 28])
    prototypes = SEPARATION * rng.standard_normal((N_CLASSES, N_NUMERIC))
    rng.integers(N_CLASSES, size=ROWS)
    rng.integers(1, N_CLASSES, size=ROWS)
    assert np.allclose(rng.random(ROWS) ** 2, ambiguity), "the generator has changed: this script follows its draws"
    rng.standard_normal((ROWS, N_NUMERIC))
    twice = rng.permutation(N_NUMERIC)[: N_NUMERIC // 2]
    noisy = np.argsort(prototypes.std(axis=0))[-4:]
    edges = np.quantile(x[:, :N_CATEGORICAL], np.linspace(0, 1, N_BINS + 1)[1:-1], axis=0)
    bins = (x[:, None, :N_CATEGORICAL] > edges).sum(1)
    codes = np.stack([np.array(["vwxyz".index(word) for word in table[f"c{j}"]]) for j in range(N_CATEGORICAL)], 1)
    kept = codes == bins
    log_posterior = np.full((ROWS, len(GRID)), -np.inf)
    for number, u in enumerate(GRID):
        left = np.full(N_NUMERIC, 1 - 0.5 * u)  # what blending leaves of a row
        left[twice] **= 2
        variance = left**2
        variance[noisy] += u**2
        for own in range(N_CLASSES):
            for other in set(range(N_CLASSES)) - {own}:
                mean = left * prototypes[own] + (1 - left) * prototypes[other]
                fit = -0.5 * ((x - mean) ** 2 / variance + np.log(variance)).sum(1)
                log_posterior[:, number] = np.logaddexp(log_posterior[:, number], fit)
        flipped = 0.5 * u  # a categorical column is the bin of its numeric one, or with this share any bin
        log_posterior[:, number] += np.log(flipped / N_BINS + (1 - flipped) * kept + 1e-12).sum(1)
    log_posterior -= 0.5 * np.log(np.maximum(GRID, 1e-3))  # the ambiguity is the square of a uniform number
    weights = np.exp(log_posterior - log_posterior.max(1, keepdims=True))
    expected = weights @ GRID / weights.sum(1)
    found = {
        f"auc_top_{share:.0%}": round(float(roc_auc_score(ambiguity >= np.quantile(ambiguity, 1 - share), expected)), 4)
        for share in (0.2, 0.1, 0.05)
    }
    print(json.dumps(found | {"spearman": round(float(spearmanr(expected, ambiguity).statistic), 4)}))


if __name__ == "__main__":
    main()
