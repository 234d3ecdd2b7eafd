"""Names of the groups of columns that a model writes, for checks before anything heavy is imported."""

from varjepa.errors import ConfigError, listed, nearest

GROUPS = ("embedding", "vector", "uncertainty", "prediction", "set", "probabilities", "anomaly", "oddity", "reasons")
"""The groups."""

ARRAYS = ("embedding", "vector")
"""Those whose cells are arrays of numbers."""


def require_known(groups: tuple[str, ...]) -> None:
    """Checks the names of groups.

    Raises:
        ConfigError: one of them is unknown.
    """
    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        hint = nearest(unknown[0], GROUPS) or f"Choose from {listed(GROUPS, len(GROUPS))}."
        raise ConfigError(f'--columns names "{unknown[0]}", which is not a group of columns.', fix=hint)
