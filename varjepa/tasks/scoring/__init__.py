"""Score, impute and sample: single files, many files, streams."""
