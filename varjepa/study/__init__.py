"""The paper's simulation study on pairs: data, models, variants and training."""
