"""Tags of versions and runs that more than one module reads."""

FINGERPRINT_TAG, ROWS_TAG, RUN_TAG = "varjepa.fingerprint", "varjepa.rows", "varjepa.run_id"

GATE_TAG = "varjepa.gate"
"""Version tag with the reason. Related tags: .outcome, .vetoes (names), .against (version) and .numbers (JSON)."""
