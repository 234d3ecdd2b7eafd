"""The paper's simulation study on pairs, all in one wing."""
