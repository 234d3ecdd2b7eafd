"""Tests, in rooms of their own.

- `unit/` mirrors `varjepa/`; what concerns the whole repository lies beside them.
- `property/` holds what must be so for any input; Hypothesis draws the inputs.
- `statistical/` holds what may fail by chance, and states at which rate: coverage, false alarms, calibration, power.
- `flows/` calls the command line as a person does, on real servers.
- `reference/` holds numbers that must not move.
- `browser/` looks at the tracking UI in Chromium, where there is one.
"""
