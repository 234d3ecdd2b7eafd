"""Tags of versions and runs that more than one module reads."""

FINGERPRINT_TAG, ROWS_TAG, RUN_TAG = "varjepa.fingerprint", "varjepa.rows", "varjepa.run_id"

GATE_TAG = "varjepa.gate"
"""Version tag with the reason. Related tags: .outcome, .vetoes (names), .against (version) and .numbers (JSON)."""

MODEL_TAG = "varjepa.model"
"""Run tag with the URI of the version that the run registered, or found registered."""

WATCH_TAG = "varjepa.watch"
"""Version tag with what `varjepa drift` goes by (see `tasks.registry.watch`)."""
