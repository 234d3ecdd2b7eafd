"""The paper's comparison: predictors, tables, published figures."""
