"""Tags of versions and runs that more than one module reads."""

FINGERPRINT_TAG, ROWS_TAG, RUN_TAG = "varjepa.fingerprint", "varjepa.rows", "varjepa.run_id"

GATE_TAG = "varjepa.gate"
"""Version tag with the reason. Related tags: .outcome, .vetoes (names), .against (version) and .numbers (JSON)."""

DRIFT_TAG = "varjepa.drift_settings"
"""Version tag with the `drift` section (JSON) of the last retrain that made this model.

A job with other settings for `varjepa drift` may make the same model, which is not registered again.
"""
