"""The paper's simulation study and its benchmark."""
