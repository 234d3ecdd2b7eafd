"""Heads: the classifier or regressor that ships on top of the embedding, the raw columns, or both."""
