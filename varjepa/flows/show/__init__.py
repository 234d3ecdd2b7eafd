"""Tables on the terminal, one file per topic."""
