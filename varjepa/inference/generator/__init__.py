"""The generator: fitting, reference, draws, imputation."""
