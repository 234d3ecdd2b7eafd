"""Tags of versions and runs that more than one module reads."""

FINGERPRINT_TAG, ROWS_TAG, RUN_TAG = "varjepa.fingerprint", "varjepa.rows", "varjepa.run_id"

GATE_TAG = "varjepa.gate"
"""Version tag with the reason; .outcome, .vetoes (names), .against (version) and .numbers (JSON) stand beside it."""

DRIFT_TAG = "varjepa.drift_settings"
"""Version tag with the `drift` section (JSON) of the last retrain that made this model.

The same model may come of a job with other settings for `varjepa drift`, which is no new version.
"""
