"""Tags of versions and runs that more than one module reads."""

from collections.abc import Mapping

FINGERPRINT_TAG, ROWS_TAG, RUN_TAG = "varjepa.fingerprint", "varjepa.rows", "varjepa.run_id"

GATE_TAG = "varjepa.gate"
"""Version tag with the reason. Related tags: .outcome, .vetoes (names), .against (version) and .numbers (JSON)."""

APPROVAL_TAG = "varjepa.approval"
"""Version tag: whether a person has approved or rejected it (see `varjepa.tasks.registry.approval`)."""

TOLD_TAG, NOT_YET = "varjepa.told", "nothing yet"
"""Version tag: the last decision that people were sent a message about; and its value where they are to be sent one. A
version without it was decided about when nobody was to be told.
"""

MODEL_TAG = "varjepa.model"
"""Run tag with the URI of the version that the run registered, or found registered."""

WATCH_TAG = "varjepa.watch"
"""Version tag with what `varjepa drift` goes by (see `varjepa.tasks.registry.watch`)."""

MANIFEST_TAG = "varjepa.manifest"
"""Tag of versions and logged models: SHA-256 of the model's manifest (see `varjepa.inference.manifest`)."""

FILES_TAG = "varjepa.files"
"""Version tag: digest of all files that MLflow keeps of it, its page of code and the wheel among them."""

SIGNER_TAG = "varjepa.signed_by"
"""Version tag: SHA-256 of the public key (PEM) whose private half has signed its files."""

INTERVAL_TAG = "varjepa.interval"
"""Version tag: the 95% interval of its quality as JSON, from the table among its run's artifacts."""

DAY_TAG = "varjepa.day"
"""Run tag: the day whose rows were compared, such as 2026-06-01, where `{{ run_date }}` chose them."""


def listed_vetoes(tags: Mapping[str, str]) -> list[str]:
    """The vetoes of the gate that fired, from the tags of a version.

    Examples:
        >>> listed_vetoes({"varjepa.gate.vetoes": "collapse, subgroup"}), listed_vetoes({})
        (['collapse', 'subgroup'], [])
    """
    return [word for word in tags.get(f"{GATE_TAG}.vetoes", "").split(", ") if word]
