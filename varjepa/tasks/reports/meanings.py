"""What each figure means, in one line, and what each picture of a run shows."""

EXACT = {
    "elbo/rec": "error of a row's cells, reconstructed from its embedding; lower is better",
    "elbo/gen": "error of hidden cells, predicted from the visible ones; lower is better",
    "elbo/kl_sx": "information that the embedding keeps of the visible cells (nats)",
    "elbo/kl_z": "information that the auxiliary latent keeps (nats)",
    "elbo/kl_sy": "distance of the predicted from the true embedding of hidden cells (nats)",
    "elbo/test": "the training objective on test rows; higher is better",
    "elbo/val": "the training objective on validation rows; higher is better",
    "latent/active_units": "dimensions of the embedding that carry information",
    "latent/rankme": "effective number of dimensions of the embedding",
    "calibration/latent_pit_ks_median": "distance of the predicted embedding's spread from the true one; 0 is best",
    "generator/loss": "surprise per hidden cell (nats); lower is better",
    "imputation/rmse_to_mean": "error of imputed numbers as a share of the error of the mean; below 1 is better",
    "imputation/rmse_to_iterative": "the same beside scikit-learn's iterative imputer; below 1 is better",
    "imputation/coverage_90": "share of hidden numbers inside their 90% intervals; 0.9 is best",
    "imputation/accuracy": "share of hidden categories that are imputed correctly",
    "imputation/accuracy_mode": "the same if the most frequent category were always imputed",
    "samples/auc": "how well a classifier tells drawn rows from real ones; 0.5 means not at all, 1 always",
    "samples/auc_of_training_rows": "the same for real training rows: what 0.5 looks like on so few rows",
    "samples/copies": "share of drawn rows that equal a training row",
    "anomaly/auroc": "how well the anomaly score finds rows with one corrupted cell; 1 is best",
    "anomaly/auroc_number": "the same for corrupted numbers",
    "anomaly/auroc_category": "the same for corrupted categories",
    "anomaly/top2": "share of corrupted cells whose column is among the two oddest",
    "anomaly/false_alarms_05": "share of untouched rows with an anomaly of 1 in 20; at most 0.05",
    "certificate/promised": "accuracy that accepted rows are promised to have",
    "certificate/coverage": "share of test rows that are accepted",
    "certificate/accuracy": "accuracy of the accepted test rows",
    "certificate/rows": "independent calibration rows, which the certificate rests on",
    "guess/accuracy": "share of test rows of the most frequent class: the accuracy of always naming it",
    "interval/promised": "share of labels that intervals are to hold",
    "interval/coverage": "share of test labels that their intervals hold",
    "interval/width": "mean width of the intervals, in the label's unit; narrower is better",
    "set/promised": "share of labels that prediction sets are to hold",
    "set/coverage": "share of test labels that their prediction sets hold",
    "set/size": "mean number of classes in a prediction set; smaller is better",
    "set/sscs": "lowest coverage among sets of the same size",
    "set/class_coverage_min": "coverage of the class that sets hold least often",
    "set/class_coverage_max": "coverage of the class that sets hold most often",
}
"""By the whole name of a metric."""

ENDINGS = {
    "accuracy": "share of test rows that are predicted correctly",
    "balanced_accuracy": "the same, as a mean over classes",
    "f1_weighted": "harmonic mean of precision and recall, weighted by the size of classes; 1 is best",
    "f1_macro": "harmonic mean of precision and recall, as a mean over classes; 1 is best",
    "rmse": "typical error, in the label's unit; lower is better",
    "r2": "share of the label's variance that is explained; 1 is best",
    "crps": "error of the predicted distribution, in the label's unit; lower is better",
    "accuracy_90": "accuracy of the 90% of rows that are surest",
    "accuracy_80": "accuracy of the 80% of rows that are surest",
    "accuracy_50": "accuracy of the surest half of the rows",
    "aurc": "mean error rate while the least sure rows are left out one by one; lower is better",
    "e_aurc": "the same beyond what a perfect ranking would have; 0 is best",
    "augrc": "mean share of rows that are accepted and wrong; lower is better",
    "failure_auroc": "how well the uncertainty tells errors from hits; 0.5 is chance, 1 is best",
    "ece": "mean gap between stated probability and observed frequency; 0 is best",
    "ace": "the same gap in bins of equally many rows; 0 is best",
    "brier": "squared error of the probabilities; lower is better",
    "nll": "surprise at the true class (nats); lower is better",
    "spearman": "rank correlation with the known ambiguity; 1 is best",
    "auc": "how well it finds the rows of high known ambiguity; 1 is best",
}
"""By what follows the group of a metric."""


BY = {
    "head": "what ships",
    "probe": "linear model on the embedding",
    "raw": "linear model on raw columns",
    "boosted": "boosted trees on raw columns",
}
"""Whose figures those of a group are."""


def meaning(name: str) -> str:
    """What a metric means; empty where it is not known.

    Examples:
        >>> meaning("probe/accuracy")
        'share of test rows that are predicted correctly (linear model on the embedding)'
        >>> meaning("custom/figure")
        ''
    """
    group, _, ending = name.rpartition("/")
    words = EXACT.get(name) or ENDINGS.get(ending, "")
    return f"{words} ({BY[group]})" if words and group in BY else words


PICTURES = {
    "risk_coverage": (
        "Errors among the rows that are kept",
        (
            "The further left, the more of the least sure rows are left out. A line that falls to the left means that "
            "the uncertainty finds the errors. The oracle knows the errors: no line can be lower. The legend gives the "
            "area below each line (AURC): smaller is better."
        ),
    ),
    "reliability": (
        "Are the stated probabilities true?",
        (
            "Of rows with a stated probability of 80%, 80% should be right. Points on the diagonal are honest, points "
            "below it overconfident. Bars are 95% intervals; the lower part says how many rows each point rests on."
        ),
    ),
    "intervals": (
        "Are the intervals honest?",
        (
            "Left: where the labels lie in their predicted distributions (PIT); flat means that these are right. "
            "Right: the share of labels that intervals hold, from narrow to wide ones, should lie at the dotted line."
        ),
    ),
    "uncertainty_measures": (
        "Which uncertainty ranks errors best",
        (
            "Each line is one way to measure uncertainty, compared with the largest class probability. Left of 0 is "
            "better. A line that crosses 0 means that the rows cannot tell."
        ),
    ),
    "reasons_table": (
        "Which columns matter",
        "The longer the bar, the more the column moves the prediction or its uncertainty, as a mean over some rows.",
    ),
    "reasons_row": (
        "One row, explained",
        (
            "How each column moves this row's prediction (a value, or the probability of its class) and its "
            "uncertainty: blue up, orange down, from what rows have on average (dotted) to what this one has (solid)."
        ),
    ),
    "embedding_map": (
        "The rows on a map",
        "Each point is a row, and rows that the network holds alike lie close to each other. Axes have no unit.",
    ),
    "elbo_curves": (
        "How training went",
        (
            "Each panel is one part of the objective per epoch. The dotted line marks the epoch that was kept. "
            "Validation that turns away from training means overfitting."
        ),
    ),
    "training_curves": (
        "How training went",
        "The error per epoch. The dotted line marks the epoch that was kept.",
    ),
    "latent_pit": (
        "Does the network know how far off its own predictions are?",
        (
            "For each dimension of the embedding, how far the predicted spread is from the true one. 0 is best; left "
            "of the dotted line is what chance would give."
        ),
    ),
}
"""Title and a sentence of each figure of a run, by the name of its file, the most important one first."""
